"""The layers that a sentence-transformers folder puts between pooling and normalising."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from nearfield.errors import ModelError
from nearfield.formats.dense_module import ACTIVATIONS, IDENTITY, DenseModule, ProjectionConfig
from nearfield.formats.weights import Weights
from nearfield.store.foreign import foreign
from nearfield.store.regular import open_regular

_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "gelu": nn.functional.gelu,
    "sigmoid": torch.sigmoid,
    "silu": nn.functional.silu,
}


class Projection(nn.Module):
    """activation(W x + b), with the input added where the folder says so: (B, in) to (B, out)."""

    def __init__(self, config: ProjectionConfig) -> None:
        super().__init__()
        self.config = config
        self.linear = nn.Linear(config.in_features, config.out_features, bias=config.bias)
        self.activation = _FUNCTIONS[ACTIVATIONS[config.activation_function]]
        if config.use_residual and config.in_features != config.out_features:
            self.residual = nn.Linear(config.in_features, config.out_features, bias=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """(B, in) to (B, out)."""
        projected = self.activation(self.linear(vectors))
        if not self.config.use_residual:
            return projected
        same = self.config.in_features == self.config.out_features
        return projected + (vectors if same else self.residual(vectors))

    @classmethod
    def open(cls, folder: Path, *, inputs: Sequence[str] = ("sentence_embedding",)) -> Projection:
        """The module in a `2_Dense`-like folder, which reads one of `inputs`. Raises ModelError as
        `DenseModule.read` does.
        """
        module = DenseModule.read(folder, inputs=inputs)
        projection = cls(module.config)
        projection.load_state_dict(
            {name: torch.from_numpy(weight.copy()) for name, weight in module.weights.items()}
        )
        return projection

    @classmethod
    def inline(cls, folder: Path, name: str) -> Projection:
        """Without bias and activation, by the matrix called `name` among the weights in `folder`.
        Raises ModelError where it is missing.
        """
        weight = _one(folder, name)
        if weight is None:
            raise ModelError(f"{folder}: the weights lack {name}, by which each token is projected")
        projection = cls(
            ProjectionConfig(
                weight.shape[1], weight.shape[0], bias=False, activation_function=IDENTITY
            )
        )
        projection.load_state_dict({"linear.weight": weight})
        return projection


def _one(folder: Path, name: str) -> Tensor | None:
    """The weight called `name` among a backbone's, float32; None where it is missing. Raises
    ModelError where there are no weights.
    """
    file = folder / "pytorch_model.bin"
    if file.exists() and not any(folder.glob("model.safetensors*")):
        open_regular(file).close()
        with foreign(file, "the weights could not be read"):
            # it may hold more than floating numbers
            weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
            return weights[name].float() if name in weights else None
    stored = Weights(folder)
    return torch.from_numpy(stored.float32(name).copy()) if name in stored else None
