"""What numpy arrays and torch tensors spell differently, so that a head is written once.

A model runs without torch where its runtime does, so torch is imported only for its own tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nearfield.types.arrays import Array, Floats


def is_numpy(values: Any) -> bool:
    """Whether `values` is a numpy array, and no torch tensor."""
    return isinstance(values, np.ndarray)


def to_numpy(values: Any) -> Floats:
    """(any shape) float32 as a numpy array, without a gradient."""
    if is_numpy(values):
        return np.asarray(values, np.float32)
    made: Floats = values.detach().float().cpu().numpy()
    return made


def beside(array: Array, values: Any) -> Any:
    """`array` as what `values` is: a numpy array, or a tensor on the same device."""
    if is_numpy(values):
        return array
    import torch

    return torch.from_numpy(array).to(values.device)


def linear(values: Any, weight: Any, bias: Any = None) -> Any:
    """W x + b for each row x of `values`: (n, in) to (n, out)."""
    if is_numpy(values):
        product = values @ weight.T
        if bias is None:
            return product
        return product + bias
    from torch.nn import functional

    return functional.linear(values, weight, bias)


def normalised(values: Any) -> Any:
    """Each row at unit length; one shorter than 1e-12 is divided by that."""
    if is_numpy(values):
        # with the limit that torch's normalize has
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
        return values / np.maximum(lengths, np.float32(1e-12))
    from torch.nn import functional

    return functional.normalize(values, dim=-1)


def activated(values: Any, name: str) -> Any:
    """The function of this name, one of `heads.layer.ACTIVATIONS`, of each value."""
    if name == "identity":
        return values
    if is_numpy(values):
        return FUNCTIONS[name](values)
    from torch.nn import functional

    return getattr(functional, name)(values)


def _sigmoid(values: Floats) -> Floats:
    from scipy.special import expit

    made: Floats = expit(values)
    return made


def _gelu(values: Floats) -> Floats:
    """x times the share of a normal distribution below x, by erf and not by tanh (Hendrycks and
    Gimpel 2016, arXiv 1606.08415).
    """
    from scipy.special import erf

    made: Floats = values * np.float32(0.5) * (1 + erf(values * np.float32(np.sqrt(0.5))))
    return made


FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "tanh": np.tanh,
    "relu": lambda values: np.maximum(values, 0),
    "gelu": _gelu,
    "sigmoid": _sigmoid,
    "silu": lambda values: values * _sigmoid(values),
}
"""What may follow a linear layer in numpy; torch has them under the same names."""
