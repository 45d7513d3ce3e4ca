"""How the numbers of a dense vector may be stored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from nearfield.errors import InputError
from nearfield.registry import Registry
from nearfield.types.arrays import Array, Floats

STORAGES: Registry[Storage] = Registry(
    "storage type",
    {
        "float32": "nearfield.similarity.storages:FLOAT32",
        "float16": "nearfield.similarity.storages:FLOAT16",
        "int8": "nearfield.similarity.storages:INT8",
        "binary": "nearfield.similarity.storages:BINARY",
    },
)
"""The storage types of dense vectors, the most exact first."""


class Storage(ABC):
    """A storage type: (n, dim) float32 to an array of `dtype` and back.

    `cuts`: a vector may be truncated as it is stored. `ranged`: each dimension has a least value
    and a step of its own, which are stored beside the codes.
    """

    dtype: str
    cuts: ClassVar[bool] = False
    ranged: ClassVar[bool] = False

    def width(self, dim: int) -> int:
        """How many numbers a vector of `dim` dimensions takes."""
        return dim

    def ranges(self, floats: Floats) -> Floats | None:
        """(2, dim) the least value and the step of each dimension of `floats: (n, dim)`, of a
        storage type that is ranged.
        """
        return None

    @abstractmethod
    def encode(self, floats: Floats, ranges: Floats | None) -> Array:
        """(n, width) of `floats: (n, dim)`, which are finite. Raises InputError for a value that
        it cannot hold.
        """

    @abstractmethod
    def decode(self, stored: Array, dim: int, ranges: Floats | None) -> Floats:
        """(n, dim) float32 of what `encode` made, or an array that is float32 already."""


class FloatingPoint(Storage):
    """The numbers themselves, rounded to `dtype`."""

    cuts = True

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def encode(self, floats: Floats, ranges: Floats | None) -> Array:
        with np.errstate(over="ignore"):  # what is too large is found below, and named
            stored = floats.astype(self.dtype)
        most = np.finfo(self.dtype).max
        return finite(stored, f"{self.dtype} holds values up to {most:g}; keep float32")

    def decode(self, stored: Array, dim: int, ranges: Floats | None) -> Floats:
        return stored.astype(np.float32, copy=False)


class EqualSteps(Storage):
    """Each dimension's range in 255 equal steps; what lies outside is clipped."""

    dtype = "uint8"
    ranged = True

    def ranges(self, floats: Floats) -> Floats:
        dim = floats.shape[1]
        if not len(floats):
            return np.stack([np.zeros(dim), np.ones(dim)]).astype(np.float32)
        low = floats.min(0)
        # 256 codes are 255 steps apart; a constant dimension has a step, too
        step = np.maximum((floats.max(0) - low) / 255, 1e-12)
        return np.stack([low, step]).astype(np.float32)

    def encode(self, floats: Floats, ranges: Floats | None) -> Array:
        assert ranges is not None
        low, step = ranges
        nearest = np.rint((floats - low) / step)
        codes: Array = np.clip(nearest, 0, 255).astype(np.uint8)
        return codes

    def decode(self, stored: Array, dim: int, ranges: Floats | None) -> Floats:
        assert ranges is not None
        low, step = ranges
        floats: Floats = stored.astype(np.float32) * step + low
        return floats


class Signs(Storage):
    """The sign of each dimension, eight to a byte; decoded as -1 and +1."""

    dtype = "uint8"

    def width(self, dim: int) -> int:
        return -(-dim // 8)

    def encode(self, floats: Floats, ranges: Floats | None) -> Array:
        # a zero counts as -1; the first dimension is the highest bit of the first byte
        return np.packbits(floats > 0, axis=1)

    def decode(self, stored: Array, dim: int, ranges: Floats | None) -> Floats:
        return np.unpackbits(stored, axis=1, count=dim).astype(np.float32) * 2 - 1


def finite(vectors: Array, why: str) -> Array:
    """`vectors` unless one holds a NaN or an infinity, which raises InputError."""
    if vectors.dtype.kind == "f" and not np.isfinite(vectors).all():
        bad = np.flatnonzero(~np.isfinite(vectors).all(-1))
        raise InputError(
            f"{len(bad)} of these vectors hold NaN or infinite values, the first at {bad[0]}: {why}"
        )
    return vectors


FLOAT32 = FloatingPoint("float32")
FLOAT16 = FloatingPoint("float16")
INT8 = EqualSteps()
BINARY = Signs()
