"""A checkpoint's weights one by one, checked and laid out for the kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nearfield.errors import ModelError
from nearfield.formats.weights import Weights
from nearfield.kernels.layout import MatrixLayout, NormLayout
from nearfield.kernels.library import Kernels
from nearfield.kernels.matrix import Matrix
from nearfield.types.arrays import Floats


class PackedWeights:
    """What is made of `weights`, whose names may begin with `prefix`, stays in memory as long as
    this lives (`kept`).

    Each method raises ModelError where a weight is missing, of another shape than asked for, or not
    finite.
    """

    def __init__(self, kernels: Kernels, weights: Weights, *, prefix: str, precision: str) -> None:
        self.kept: list[Any] = []
        self._kernels = kernels
        self._weights = weights
        self._prefix = prefix
        self._precision = precision

    def __contains__(self, name: str) -> bool:
        return self._known(name) in self._weights

    def matrix(self, names: Sequence[str], rows: int, columns: int) -> MatrixLayout:
        """The linear layers called `names`, each (rows, columns), one below the other."""
        weights = [self.floats(f"{name}.weight", rows, columns) for name in names]
        return self.laid_out(weights, [self.floats(f"{name}.bias", rows) for name in names])

    def laid_out(self, weights: Sequence[Floats], biases: Sequence[Floats]) -> MatrixLayout:
        """Linear layers that were read, one below the other."""
        matrix = Matrix(self._kernels, weights, biases, precision=self._precision)
        self.kept.append(matrix)
        return matrix.layout

    def norm(self, name: str, width: int) -> NormLayout:
        """The layer norm of `name`, by today's names or by gamma and beta."""
        # as checkpoints that were converted from TensorFlow's BERT have them
        parts = ("gamma", "beta") if f"{name}.gamma" in self else ("weight", "bias")
        weight = self.floats(f"{name}.{parts[0]}", width)
        bias = self.floats(f"{name}.{parts[1]}", width)
        return NormLayout(self.keep(weight), self.keep(bias))

    def floats(self, name: str, *shape: int | None) -> Floats:
        """The weight of `name`, with or without the prefix, of `shape` (None: any number)."""
        known = self._known(name)
        found = self._weights.float32(known)
        fits = found.ndim == len(shape)
        if fits:
            sizes = zip(shape, found.shape, strict=True)
            fits = all(want in (None, got) for want, got in sizes)
        if not fits:
            wanted = tuple("any" if size is None else size for size in shape)
            raise ModelError(
                f"{self._weights.folder}: the weights do not fit the architecture: {known} is of "
                f"shape {found.shape}; wanted {wanted}"
            )
        # a sum is looked at first, which needs no array of flags: it is finite where all are, but
        # for an overflow
        with np.errstate(all="ignore"):
            if not np.isfinite(found.sum(dtype=np.float32)) and not np.isfinite(found).all():
                raise ModelError(
                    f"{self._weights.folder}: weight {known} holds NaN or infinite values; the "
                    "file is damaged or its training failed"
                )
        return found

    def keep(self, array: Floats) -> int:
        """The address of `array`, which is kept from being freed."""
        self.kept.append(array)
        return int(array.ctypes.data)

    def _known(self, name: str) -> str:
        return name if name in self._weights else self._prefix + name
