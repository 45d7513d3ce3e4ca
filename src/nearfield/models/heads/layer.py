"""The layers that a folder puts between a backbone's states and the embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.errors import ModelError
from nearfield.formats.honoured import ANY, Honoured, refuse_unhonoured
from nearfield.formats.torch_file import read_torch_file
from nearfield.formats.weights import Weights
from nearfield.models.heads.arrays import activated, is_numpy, linear
from nearfield.store.atomic import write_json
from nearfield.store.fields import read_fields
from nearfield.store.foreign import foreign
from nearfield.store.regular import open_regular
from nearfield.types.arrays import Floats

IDENTITY = "torch.nn.modules.linear.Identity"
ACTIVATIONS = {
    IDENTITY: "identity",
    "torch.nn.modules.activation.Tanh": "tanh",
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.GELU": "gelu",
    "torch.nn.modules.activation.Sigmoid": "sigmoid",
    "torch.nn.modules.activation.SiLU": "silu",
}
"""What we call the functions that a config.json names by their place in torch."""


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

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each of its weights."""
        found: dict[str, tuple[int, ...]] = {"linear.weight": (self.out_features, self.in_features)}
        if self.bias:
            found["linear.bias"] = (self.out_features,)
        # inputs of as many dimensions as outputs are added as they are
        if self.use_residual and self.in_features != self.out_features:
            found["residual.weight"] = (self.out_features, self.in_features)
        return found


class Layer:
    """activation(W x + b), with the input added where the config says so: (n, in) to (n, out).

    `weights`, by the names that sentence-transformers gives them (`linear.weight`, `linear.bias`,
    `residual.weight`), are numpy arrays or, once `train` is called, torch parameters.
    """

    def __init__(self, config: ProjectionConfig, weights: dict[str, Any]) -> None:
        self.config = config
        self.weights = weights

    @property
    def linear(self) -> bool:
        """Whether it is W x + b alone."""
        plain = ACTIVATIONS[self.config.activation_function] == "identity"
        return plain and not self.config.use_residual

    def __call__(self, values: Any) -> Any:
        """(n, in) to (n, out), of an array or a tensor, as the weights are."""
        weights = self.weights
        made = linear(values, weights["linear.weight"], weights.get("linear.bias"))
        # before the input is added, as in sentence-transformers' Dense
        made = activated(made, ACTIVATIONS[self.config.activation_function])
        if not self.config.use_residual:
            return made
        if "residual.weight" in weights:
            values = linear(values, weights["residual.weight"])
        return made + values

    def train(self, device: Any) -> None:
        """Make the weights torch parameters on `device`."""
        import torch

        for name, weight in self.weights.items():
            if is_numpy(weight):
                self.weights[name] = torch.nn.Parameter(torch.tensor(weight, device=device))

    def stored(self) -> dict[str, Any]:
        """The weights as torch tensors on the processor, for a file."""
        import torch

        return {
            name: torch.as_tensor(weight).detach().cpu().clone()
            for name, weight in self.weights.items()
        }

    def save(self, folder: Path) -> None:
        """Write the module's config and weights. Raises StorageError when writing fails."""
        from nearfield.store.tensors import write_tensors

        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "config.json", asdict(self.config))
        write_tensors(folder / "model.safetensors", self.stored())

    @classmethod
    def of(cls, weight: Floats, bias: Floats | None) -> Layer:
        """W x + b alone, of weight (out, in) and bias (out,)."""
        outputs, inputs = weight.shape
        weights = {"linear.weight": np.ascontiguousarray(weight)}
        if bias is not None:
            weights["linear.bias"] = bias
        config = ProjectionConfig(inputs, outputs, bias is not None, IDENTITY)
        return cls(config, weights)

    @classmethod
    def open(cls, folder: Path, *, inputs: Sequence[str] = ("sentence_embedding",)) -> Layer:
        """The module in a `2_Dense`-like folder, which reads one of `inputs`.

        Raises ModelError for a config that cannot be honoured, and for weights that are missing,
        damaged or do not fit it.
        """
        facts = read_fields(folder / "config.json")
        config = ProjectionConfig(
            facts.integer("in_features", low=1),
            facts.integer("out_features", low=1),
            facts.flag("bias", True),
            facts.text("activation_function", ProjectionConfig.activation_function),
            facts.text("module_input_name", ProjectionConfig.module_input_name),
            facts.text("module_output_name", None),
            facts.flag("use_residual", False),
        )
        honoured: Honoured = dict.fromkeys(asdict(config), ANY) | {
            "activation_function": tuple(ACTIVATIONS),
            "module_input_name": inputs,
            "module_output_name": (config.module_input_name,),
        }
        refuse_unhonoured(facts, honoured)
        weights = _stored(folder)
        shapes = {name: weight.shape for name, weight in weights.items()}
        if shapes != config.shapes:
            raise ModelError(
                f"{folder}: the weights do not fit its config.json: they are "
                f"{shapes}; wanted {config.shapes}"
            )
        return cls(config, weights)

    @classmethod
    def inline(cls, folder: Path, name: str) -> Layer:
        """Without bias and activation, by the matrix called `name` among the weights in `folder`.
        Raises ModelError where it is missing.
        """
        weight = _one(folder, name)
        if weight is None:
            raise ModelError(f"{folder}: the weights lack {name}, by which each token is projected")
        return cls.of(weight, None)


def _stored(folder: Path) -> dict[str, Floats]:
    """The weights in a module's folder, by name. Raises ModelError where there are none or they are
    damaged.
    """
    if (folder / "model.safetensors").exists():  # which counts where both are there
        stored = Weights(folder)
        return {name: stored.float32(name) for name in stored.names()}
    if (folder / "pytorch_model.bin").exists():
        return read_torch_file(folder / "pytorch_model.bin")
    raise ModelError(f"{folder}: no model.safetensors and no pytorch_model.bin")


def _one(folder: Path, name: str) -> Floats | None:
    """The weight called `name` among a backbone's; None where it is missing. Raises ModelError
    where there are no weights.
    """
    file = folder / "pytorch_model.bin"
    if file.exists() and not any(folder.glob("model.safetensors*")):
        import torch

        open_regular(file).close()
        with foreign(file, "the weights could not be read"):
            # it may hold more than floating numbers
            weights = torch.load(file, map_location="cpu", weights_only=True)
            return weights[name].float().numpy() if name in weights else None
    stored = Weights(folder)
    return stored.float32(name) if name in stored else None
