"""Where the tensors of a safetensors file lie, read from its header and checked against the
file.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nearfield.errors import InputError, ModelError
from nearfield.store.fields import Fields, parse_json
from nearfield.store.regular import open_regular

NUMBERS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
}
"""numpy's names of the types that are read here; a bfloat16 is the upper half of a float32."""
_LONGEST_HEADER = 100_000_000  # bytes, as safetensors itself allows
_DIMENSIONS = 64  # as many as numpy has


@dataclass(frozen=True)
class Place:
    """A tensor's type as the header names it, its shape, and its first byte and the one after its
    last in the file.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def tensor_places(file: Path) -> Mapping[str, Place]:
    """The place of each tensor by name.

    Layout: 8 bytes, little endian, the length of a JSON header that gives each tensor's type, shape
    and place; then the tensors (https://github.com/huggingface/safetensors#format). Raises
    ModelError where the file is no regular one or cut off, or its header is no JSON or claims what
    does not lie in it.
    """
    try:
        return _read(file)
    except InputError as error:
        raise ModelError(f"{error}; the weights could not be read") from error


def _read(file: Path) -> Mapping[str, Place]:
    with open_regular(file) as opened:
        size = os.fstat(opened.fileno()).st_size
        length = int.from_bytes(opened.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise ModelError(
                f"{file}: the weights could not be read: the file is cut off or is "
                "none of safetensors"
            )
        header = parse_json(opened.read(length), file)
    if not isinstance(header, dict):
        raise ModelError(f"{file}: the weights could not be read: the header is not a JSON object")
    header.pop("__metadata__", None)
    entries = Fields(header, file, where="of the header ")
    places = {}
    for name in entries:
        places[name] = _place(name, entries.object(name), base=8 + length, size=size)
    return places


def _place(name: str, entry: Fields, *, base: int, size: int) -> Place:
    dtype = entry.text("dtype")
    shape = entry.integers("shape", high=size)
    offsets = entry.integers("data_offsets", high=size)  # from the end of the header
    if len(offsets) != 2 or not 0 <= offsets[0] <= offsets[1] <= size - base:
        raise ModelError(
            f"{entry.path}: {name} does not lie in the file, which is cut off or damaged"
        )
    start, end = offsets
    fits = len(shape) <= _DIMENSIONS
    if dtype in NUMBERS:  # of another type only the place is known, which `map_tensors` refuses
        fits = fits and math.prod(shape) * np.dtype(NUMBERS[dtype]).itemsize == end - start
    if not fits:
        raise ModelError(
            f"{entry.path}: {name} takes {end - start} bytes, which is not what {dtype} of "
            f"shape {tuple(shape)[:8]} takes"
        )
    return Place(dtype, tuple(shape), base + start, base + end)
