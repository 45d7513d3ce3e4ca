"""The files of a sentence-transformers `Dense` module, read without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from nearfield.errors import ModelError
from nearfield.formats.torch_file import read_torch_file
from nearfield.formats.weights import Weights
from nearfield.store.fields import read_fields
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
        found |= {"linear.bias": (self.out_features,)} if self.bias else {}
        added = self.use_residual and self.in_features != self.out_features
        return found | ({"residual.weight": (self.out_features, self.in_features)} if added else {})


@dataclass(frozen=True)
class DenseModule:
    """A module's config and its weights by name, float32."""

    config: ProjectionConfig
    weights: Mapping[str, Floats]

    @classmethod
    def read(cls, folder: Path, *, inputs: Sequence[str] = ("sentence_embedding",)) -> DenseModule:
        """The module in a `2_Dense`-like folder, which reads one of `inputs`.

        Raises ModelError for a config that cannot be honoured, and for weights that are missing,
        damaged or do not fit it.
        """
        facts = read_fields(folder / "config.json")
        unknown = sorted(set(facts) - {field.name for field in fields(ProjectionConfig)})
        config = ProjectionConfig(
            facts.integer("in_features", low=1),
            facts.integer("out_features", low=1),
            facts.flag("bias", True),
            facts.text("activation_function", ProjectionConfig.activation_function),
            facts.text("module_input_name", ProjectionConfig.module_input_name),
            facts.text("module_output_name", None),
            facts.flag("use_residual", False),
        )
        output = config.module_output_name or config.module_input_name
        elsewhere = config.module_input_name not in inputs or output != config.module_input_name
        if unknown or elsewhere or config.activation_function not in ACTIVATIONS:
            where = f"from {config.module_input_name} to {output}"
            what = (
                f"unknown keys {unknown}"
                if unknown
                else f"activation {config.activation_function} {where}"
            )
            raise ModelError(
                f"{folder / 'config.json'}: a Dense module with {what} is not supported; "
                f"activations: {', '.join(ACTIVATIONS)}"
            )
        weights = dense_weights(folder)
        shapes = {name: weight.shape for name, weight in weights.items()}
        if shapes != config.shapes:
            raise ModelError(
                f"{folder}: the weights do not fit its config.json: they are "
                f"{shapes}; wanted {config.shapes}"
            )
        return cls(config, weights)


def dense_weights(folder: Path) -> dict[str, Floats]:
    """The weights in a module's folder, by name. Raises ModelError where there are none or they are
    damaged.
    """
    if (folder / "model.safetensors").exists():
        stored = Weights(folder)
        return {name: stored.float32(name) for name in stored.names()}
    if (folder / "pytorch_model.bin").exists():
        return read_torch_file(folder / "pytorch_model.bin")
    raise ModelError(f"{folder}: no model.safetensors and no pytorch_model.bin")
