"""Arrays in NumPy files of unknown origin: the header is checked against the file before any memory
is taken.
"""

from __future__ import annotations

import math
import os
import re
import zlib
from collections.abc import Iterator, Sequence
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
# The three entries come in any order; quantifiers that give nothing back (`*+`) keep a header that
# does not match from being tried in every way.
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
        if not fits or header.dtype not in map(np.dtype, dtypes):
            wanted = str(shape).replace("None", "any")
            raise InputError(
                f"holds {header.dtype} of shape {header.shape}; wanted {' or '.join(dtypes)} of "
                f"shape {wanted}",
                path=path,
            )
        mapped: Array = np.memmap(
            file, header.dtype, "r", header.offset, header.shape, header.order
        )  # type: ignore[call-overload]
    if mapped.flags.aligned:
        return mapped
    return np.array(mapped)  # kernels read whole words, and other writers pad headers otherwise


def read_array(path: Path, dtypes: Sequence[str], shape: tuple[int | None, ...]) -> Array:
    """Like `map_array`, but in memory."""
    return np.array(map_array(path, dtypes, shape))


def check_finite(array: Array, path: Path) -> None:
    """Raise InputError where a value of the array from `path` is NaN or infinite, naming the first
    such row.
    """
    for start, block in _blocks(array):
        finite = np.isfinite(block)
        if not finite.all():
            wrong = np.flatnonzero(~finite.reshape(len(block), -1).all(1))
            raise InputError(
                f"holds NaN or infinite values, the first in row {start + wrong[0]}: "
                "the file is damaged",
                path=path,
            )


def checksum(array: Array) -> int:
    """CRC-32 of the array's values: it tells damage, at some gigabytes a second, and not what
    somebody made to fit.
    """
    found = 0
    for _, block in _blocks(array):
        if block.size:  # a view without values cannot be cast to bytes
            found = zlib.crc32(np.ascontiguousarray(block).data.cast("B"), found)
    return found


def _blocks(array: Array) -> Iterator[tuple[int, Array]]:
    """Rows of about `_BLOCK` values together, and the position of the first of them."""
    rows = max(1, _BLOCK // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), rows):
        yield start, array[start : start + rows]


def _checked_header(file: BinaryIO, path: Path) -> Header:
    dtype, order, lengths = _header_fields(file, path)
    offset = file.tell()
    try:
        kind = np.dtype(dtype)
    except TypeError as error:
        raise InputError(f"holds values of an unknown type {dtype!r}", path=path) from error
    if kind.kind not in "fiub":
        raise InputError(f"holds values of type {kind}; wanted numbers", path=path)
    shape = tuple(map(int, re.findall(r"\d+", lengths)))
    header = Header(kind, shape, offset, "F" if order == "True" else "C")
    size = os.fstat(file.fileno()).st_size
    wanted = offset + header.nbytes
    if wanted != size:
        raise InputError(
            f"says that it holds {kind} of shape {shape}, {wanted:,} bytes with the header, and "
            f"has {size:,} bytes: it is cut off or damaged",
            path=path,
        )
    return header


def _header_fields(file: BinaryIO, path: Path) -> tuple[str, str, str]:
    """Type, order and shape as the header has them; the values begin where the file stands then.

    Layout (numpy.lib.format): the magic, a byte each of major and minor version, the header's
    length in two bytes of version 1 and four of later ones, and a Python literal.
    """
    start = file.read(8)
    if len(start) < 8 or start[:6] != _MAGIC or start[6] not in (1, 2, 3):
        raise InputError("is not a NumPy file, or its header is damaged", path=path)
    length = int.from_bytes(file.read(2 if start[6] == 1 else 4), "little")
    if length > _LARGEST_HEADER:
        raise InputError("is not a NumPy file, or its header is damaged", path=path)
    found = _HEADER.fullmatch(file.read(length))
    # an entry that comes twice leaves another one out
    if found is None or None in found.groups():
        raise InputError("is not a NumPy file of numbers, or its header is damaged", path=path)
    dtype, order, lengths = (group.decode("ascii") for group in found.groups())
    return dtype, order, lengths
