"""Linear layers in numpy, for what runs a model without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nearfield.formats.dense_module import ACTIVATIONS, DenseModule

Array = npt.NDArray[np.float32]


def projections(
    folders: Sequence[Path], *, inputs: Sequence[str] = ("sentence_embedding",)
) -> Callable[[Array], Array]:
    """The Dense modules in these folders, one after the other: (n, in) to (n, out), as `Projection`
    gives. Raises ModelError as `DenseModule.read` does.
    """
    modules = [DenseModule.read(folder, inputs=inputs) for folder in folders]

    def project(vectors: Array) -> Array:
        for module in modules:
            vectors = _projected(module, vectors)
        return vectors

    return project


def linear(vectors: Array, weight: Array, bias: Array | None = None) -> Array:
    """W x + b for each row x of `vectors`: (n, in) to (n, out)."""
    product: Array = vectors @ weight.T
    return product if bias is None else product + bias


def normalised(vectors: Array) -> Array:
    """Each row at unit length, as torch's normalize makes it: one shorter than 1e-12 is divided by
    that.
    """
    made: Array = vectors / np.maximum(
        np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12)
    )
    return made


def _projected(module: DenseModule, vectors: Array) -> Array:
    weights, config = module.weights, module.config
    made = _FUNCTIONS[ACTIVATIONS[config.activation_function]](
        linear(vectors, weights["linear.weight"], weights.get("linear.bias"))
    )
    if not config.use_residual:
        return made
    added = weights.get("residual.weight")
    return made + (vectors if added is None else linear(vectors, added))


def _sigmoid(x: Array) -> Array:
    from scipy.special import expit

    made: Array = expit(x)
    return made


def _gelu(x: Array) -> Array:
    from scipy.special import erf

    made: Array = x * np.float32(0.5) * (1 + erf(x * np.float32(np.sqrt(0.5))))
    return made


_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda x: x,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "gelu": _gelu,
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
}
