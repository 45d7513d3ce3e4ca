"""The layers that a sentence-transformers folder puts between pooling and normalising."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from nearfield.errors import ModelError

IDENTITY = "torch.nn.modules.linear.Identity"
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    IDENTITY: lambda x: x,
    "torch.nn.modules.activation.Tanh": torch.tanh,
    "torch.nn.modules.activation.ReLU": torch.relu,
    "torch.nn.modules.activation.GELU": nn.functional.gelu,
    "torch.nn.modules.activation.Sigmoid": torch.sigmoid,
    "torch.nn.modules.activation.SiLU": nn.functional.silu,
}


@dataclass(frozen=True)
class ProjectionConfig:
    """The config.json of a sentence-transformers `Dense` module."""

    in_features: int
    out_features: int
    bias: bool = True
    activation_function: str = "torch.nn.modules.activation.Tanh"
    module_input_name: str = "sentence_embedding"
    module_output_name: str | None = None
    use_residual: bool = False


class Projection(nn.Module):
    """activation(W x + b), with the input added where the folder says so: (B, in) to (B, out)."""

    def __init__(self, config: ProjectionConfig) -> None:
        super().__init__()
        self.config = config
        self.linear = nn.Linear(config.in_features, config.out_features, bias=config.bias)
        self.activation = ACTIVATIONS[config.activation_function]
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
        """The module in a `2_Dense`-like folder, which reads one of `inputs`.

        Raises ModelError for a config that this class cannot honour.
        """
        facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        known = {field.name for field in fields(ProjectionConfig)}
        unknown = sorted(set(facts) - known)
        config = ProjectionConfig(**{key: value for key, value in facts.items() if key in known})
        if unknown or config.activation_function not in ACTIVATIONS or config.module_input_name not in inputs:
            what = f"unknown keys {unknown}" if unknown else f"activation {config.activation_function} on {config.module_input_name}"
            raise ModelError(
                f"{folder / 'config.json'}: a Dense module with {what} is not supported; activations: {', '.join(ACTIVATIONS)}"
            )
        projection = cls(config)
        try:
            projection.load_state_dict(_weights(folder))
        except RuntimeError as error:
            raise ModelError(f"{folder}: the weights do not fit its config.json: {str(error).splitlines()[-1].strip()}") from error
        return projection

    @classmethod
    def inline(cls, folder: Path, name: str) -> Projection:
        """Without bias and activation, by the matrix called `name` among the weights in `folder`. Raises ModelError where it is missing."""
        weights = _weights(folder)
        if name not in weights:
            raise ModelError(f"{folder}: the weights lack {name}, by which each token is projected")
        weight = weights[name].float()
        projection = cls(ProjectionConfig(weight.shape[1], weight.shape[0], bias=False, activation_function=IDENTITY))
        projection.load_state_dict({"linear.weight": weight})
        return projection


def _weights(folder: Path) -> dict[str, Tensor]:
    if (folder / "model.safetensors").exists():
        return load_file(folder / "model.safetensors")
    if (folder / "pytorch_model.bin").exists():
        loaded: dict[str, Tensor] = torch.load(folder / "pytorch_model.bin", map_location="cpu", weights_only=True)
        return loaded
    raise ModelError(f"{folder}: no model.safetensors and no pytorch_model.bin")
