"""Arrays in safetensors files, memory-mapped for reading, written block by block."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from nearfield.errors import ModelError
from nearfield.store.tensor_places import NUMBERS, Place, tensor_places
from nearfield.types.arrays import Array, Floats

_HEADER = 256  # bytes kept for the header of a file whose number of rows is known at its end only


def map_tensors(path: Path) -> dict[str, Array]:
    """The arrays of a safetensors file by name, read from disk when they are used.

    Raises ModelError where the file is missing or damaged, or an array has a type that numpy does
    not have (bfloat16).
    """
    places = tensor_places(path)
    if not places:
        raise ModelError(f"{path}: the weights could not be read: the file holds no array")
    return {name: _mapped(path, name, place) for name, place in places.items()}


def _mapped(path: Path, name: str, place: Place) -> Array:
    if place.dtype not in NUMBERS or place.dtype == "BF16":
        known = ", ".join(kind for kind in NUMBERS if kind != "BF16")
        raise ModelError(f"{path}: {name} is stored as {place.dtype}; wanted one of {known}")
    dtype = np.dtype(NUMBERS[place.dtype])
    if place.end == place.start:  # the system maps no empty part of a file
        return np.empty(place.shape, dtype)
    return np.memmap(path, dtype, "r", place.start, place.shape)


def write_rows(path: Path, name: str, blocks: Iterable[Floats]) -> int:
    """Write blocks (n, dim) float32 one below the other as the one array `name`, and return how
    many rows there are.

    Meant for a file within a staged folder: it is not whole before the last block.
    """
    rows = 0
    dim = 0
    with open(path, "wb") as file:
        file.write(bytes(_HEADER))
        for block in blocks:
            rows += len(block)
            dim = block.shape[1]
            file.write(np.ascontiguousarray(block, "<f4").data)
        facts = {"dtype": "F32", "shape": [rows, dim], "data_offsets": [0, 4 * rows * dim]}
        header = json.dumps({"__metadata__": {"format": "pt"}, name: facts}).encode()
        header = header.ljust(_HEADER - 8)  # blanks at its end are still JSON
        file.seek(0)
        file.write(struct.pack("<Q", len(header)) + header)
    return rows
