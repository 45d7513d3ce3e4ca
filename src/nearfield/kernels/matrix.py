"""A weight matrix in memory as the kernels multiply it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from nearfield.kernels.layout import MatrixLayout
from nearfield.kernels.library import Kernels
from nearfield.types.arrays import Floats

PRECISIONS = ("float32", "bfloat16", "int8")
"""Of the products, as matrix.h numbers them; sums are float32, of 8-bit integers exact."""

SLICE = 384  # inputs, as in matrix.h


class Matrix:
    """Linear layers of as many inputs, one below the other: `weights` each (rows, columns) float32,
    `biases` each (rows,).

    8-bit weights are integers times a scale of their row; the inputs of a product become 8-bit
    integers between the least and the greatest of a token, so that nothing is calibrated.
    """

    def __init__(
        self,
        kernels: Kernels,
        weights: Sequence[Floats],
        biases: Sequence[Floats],
        *,
        precision: str = "float32",
    ) -> None:
        self._kernels = kernels
        kind = PRECISIONS.index(precision)
        rows = sum(len(part) for part in weights)
        columns = weights[0].shape[1]
        units = kernels.call("units", kind, columns)
        padded = kernels.padded(rows)
        self._panels = aligned(padded * units)
        # floats from the start that packing writes all of: in float32 those of whole panels
        self._unset = rows // kernels.panel * kernels.panel * units if kind == 0 else 0
        self._bias = np.zeros(padded, np.float32)
        self._scales = np.zeros(padded if precision == "int8" else 0, np.float32)
        slices = -(-columns // SLICE)  # rounded up
        self._sums = np.zeros((slices, len(self._scales)), np.float32)
        arrays = (self._panels, self._bias, self._scales, self._sums)
        self.layout = MatrixLayout(
            kind, rows, columns, units, *(array.ctypes.data for array in arrays)
        )
        self.fill(weights, biases)

    def fill(self, weights: Sequence[Floats], biases: Sequence[Floats]) -> None:
        """Take these weights and biases, of the same shapes, in place of those before."""
        self._panels[self._unset :] = 0.0  # what packing does not write must be zero before
        self._scales[:] = 0.0
        self._sums[:] = 0.0
        first = 0
        for weight, bias in zip(weights, biases, strict=True):
            self._kernels.call("pack", ctypes.addressof(self.layout), weight, len(weight), first)
            self._bias[first : first + len(bias)] = bias
            first += len(weight)


class Turned:
    """The linear layers `weights` as in `Matrix`, turned round: their outputs are its inputs, and
    their inputs its outputs. No biases.
    """

    def __init__(
        self, kernels: Kernels, weights: Sequence[Floats], *, precision: str = "float32"
    ) -> None:
        self._kernels = kernels
        kind = PRECISIONS.index(precision)
        columns = sum(len(part) for part in weights)
        rows = weights[0].shape[1]
        units = kernels.call("units", kind, columns)
        padded = kernels.padded(rows)
        self._room = aligned(padded * units), np.zeros(padded, np.float32)
        self.layout = MatrixLayout(
            kind, rows, columns, units, *(part.ctypes.data for part in self._room)
        )
        self.fill(weights)

    def fill(self, weights: Sequence[Floats]) -> None:
        """Take these weights, of the same shapes, in place of those before."""
        whole = np.concatenate(weights) if len(weights) > 1 else weights[0]
        self._kernels.call("pack_columns", ctypes.addressof(self.layout), whole, whole.shape[1])


def aligned(count: int) -> Floats:
    """`count` float32, not set, from the start of a cache line: a register read from two takes
    twice as long.
    """
    # a cache line is 64 bytes, 16 floats
    room = np.empty(count + 16, np.float32)
    start = -room.ctypes.data % 64 // 4
    return room[start : start + count]
