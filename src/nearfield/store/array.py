"""Arrays in NumPy files of unknown origin: the header is checked against the file before any memory
is taken.
"""

from __future__ import annotations

import math
import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nearfield.errors import InputError
from nearfield.store.regular import open_regular
from nearfield.types.arrays import Array

_MAGIC = b"\x93NUMPY"
_LARGEST_HEADER = 10_000  # bytes, as numpy takes without being told to trust a file
_DTYPE = rb"""["']descr["']\s*+:\s*+["']([<>|=]?[a-zA-Z]\d{1,3})["']"""
_ORDER = rb"""["']fortran_order["']\s*+:\s*+(True|False)"""
_SHAPE = rb"""["']shape["']\s*+:\s*+\(\s*+((?:\d{1,18}+\s*+,\s*+)*+(?:\d{1,18}+\s*+)?+)\)"""
# Not read by Python's own parser, which numpy uses: nested brackets without end bring that down.
_HEADER = re.compile(
    rb"\s*+\{\s*+(?:(?:" + rb"|".join((_DTYPE, _ORDER, _SHAPE)) + rb")\s*+,?+\s*+){3}\}\s*+"
)
_BLOCK = 1 << 26  # values looked at at a time


@dataclass(frozen=True)
class Header:
    """What the head of a NumPy file says: its values begin `offset` bytes into it, and there are as
    many as fit.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    order: str

    @property
    def nbytes(self) -> int:
        """Bytes that the values take."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(path: Path) -> Header:
    """The header of the NumPy file at `path`. Raises InputError where it is none, or does not fit
    the file's size.
    """
    with open_regular(path) as file:
        return _checked_header(file, path)


def map_array(path: Path, dtypes: Sequence[str], shape: tuple[int | None, ...]) -> Array:
    """The array in the NumPy file at `path`, memory-mapped; it must have one of `dtypes` and
    `shape`, where None is any length.

    What the file holds when it is opened is checked. nearfield replaces such files and never writes
    into them, so that a mapped array does not change. Raises InputError where the file is none, its
    header lies, or holds another array.
    """
    with open_regular(path) as file:
        header = _checked_header(file, path)
        fits = len(header.shape) == len(shape) and all(
            want in (None, got) for got, want in zip(header.shape, shape, strict=True)
        )
        if not fits or header.dtype not in [np.dtype(dtype) for dtype in dtypes]:
            lengths = ", ".join("any" if length is None else str(length) for length in shape)
            wanted = f"{' or '.join(dtypes)} of shape ({lengths}{',' if len(shape) == 1 else ''})"
            raise InputError(
                f"holds {header.dtype} of shape {header.shape}; wanted {wanted}", path=path
            )
        mapped: Array = np.memmap(
            file, header.dtype, "r", header.offset, header.shape, header.order
        )  # type: ignore[call-overload]
    return mapped if mapped.flags.aligned else np.array(mapped)


def read_array(path: Path, dtypes: Sequence[str], shape: tuple[int | None, ...]) -> Array:
    """As `map_array`, in memory."""
    return np.array(map_array(path, dtypes, shape))


def check_finite(array: Array, path: Path) -> None:
    """Raise InputError where a value of the array from `path` is NaN or infinite, naming the first
    such row.
    """
    for start, block in _blocks(array):
        finite = np.isfinite(block)
        if not finite.all():
            rows = np.flatnonzero(~finite.reshape(len(block), -1).all(1))
            raise InputError(
                f"holds NaN or infinite values, the first in row {start + rows[0]}: "
                "the file is damaged",
                path=path,
            )


def checksum(array: Array) -> int:
    """CRC-32 of the array's values: it tells damage, at some gigabytes a second, and not what
    somebody made to fit.
    """
    found = 0
    for _, block in _blocks(array):
        found = zlib.crc32(np.ascontiguousarray(block).data.cast("B") if block.size else b"", found)
    return found


def _blocks(array: Array) -> list[tuple[int, Array]]:
    rows = max(1, _BLOCK // max(1, math.prod(array.shape[1:])))
    return [(start, array[start : start + rows]) for start in range(0, len(array), rows)]


def _checked_header(file: BinaryIO, path: Path) -> Header:
    head = file.read(12)
    long = head[6:7] != b"\x01"
    length = int.from_bytes(head[8:12] if long else head[8:10], "little")
    offset = (12 if long else 10) + length
    if len(head) < 12 or head[:6] != _MAGIC or head[6] not in (1, 2, 3) or length > _LARGEST_HEADER:
        raise InputError("is not a NumPy file, or its header is damaged", path=path)
    file.seek(offset - length)
    found = _HEADER.fullmatch(file.read(length))
    if found is None or None in found.groups():
        raise InputError("is not a NumPy file of numbers, or its header is damaged", path=path)
    dtype, order, lengths = (group.decode("ascii") for group in found.groups())
    try:
        header = Header(
            np.dtype(dtype),
            tuple(map(int, re.findall(r"\d+", lengths))),
            offset,
            "F" if order == "True" else "C",
        )
    except TypeError as error:
        raise InputError(f"holds values of an unknown type {dtype!r}", path=path) from error
    if header.dtype.kind not in "fiub":
        raise InputError(f"holds values of type {header.dtype}; wanted numbers", path=path)
    size = os.fstat(file.fileno()).st_size
    if offset + header.nbytes != size:
        said = (
            f"{header.dtype} of shape {header.shape}, {offset + header.nbytes:,} bytes with "
            "the header"
        )
        raise InputError(
            f"says that it holds {said}, and has {size:,} bytes: it is cut off or damaged",
            path=path,
        )
    return header
