"""Arrays in safetensors files, memory-mapped to read and written a block at a time."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.errors import ModelError

Array = npt.NDArray[Any]
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}
_HEADER = 256  # bytes kept for the header of a file whose number of rows is known at its end only


def map_tensors(path: Path) -> dict[str, Array]:
    """The arrays of a safetensors file by name, read from disk when they are used.

    Raises ModelError where the file is missing or damaged, or an array has a type that numpy does not have (bfloat16).
    """
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header: dict[str, Any] = json.loads(file.read(length)) if length <= size - 8 else {}
    except (OSError, ValueError, struct.error) as error:
        raise ModelError(f"{path}: the weights could not be read: {error}") from error
    header.pop("__metadata__", None)
    if not header:
        raise ModelError(f"{path}: the weights could not be read: the file is cut off or is none of safetensors")
    return {name: _mapped(path, 8 + length, size, name, facts) for name, facts in header.items()}


def _mapped(path: Path, base: int, size: int, name: str, facts: Mapping[str, Any]) -> Array:
    if facts["dtype"] not in _DTYPES:
        raise ModelError(f"{path}: {name} is stored as {facts['dtype']}; wanted one of {', '.join(_DTYPES)}")
    dtype, shape = np.dtype(_DTYPES[facts["dtype"]]), tuple(facts["shape"])
    start, end = facts["data_offsets"]
    if end - start != dtype.itemsize * int(np.prod(shape)) or base + end > size:
        raise ModelError(f"{path}: {name} does not fit the file; it is cut off or damaged")
    if end == start:
        return np.empty(shape, dtype)
    mapped: Array = np.memmap(path, dtype, "r", base + start, shape)
    return mapped


def write_rows(path: Path, name: str, blocks: Iterable[npt.NDArray[np.float32]]) -> int:
    """Write blocks (n, dim) float32 one below the other as the one array `name`, and return how many rows there are.

    Meant for a file within a staged folder: it is not whole before the last block.
    """
    rows, dim = 0, 0
    with open(path, "wb") as file:
        file.write(bytes(_HEADER))
        for block in blocks:
            rows, dim = rows + len(block), block.shape[1]
            file.write(np.ascontiguousarray(block, "<f4").data)
        facts = {"dtype": "F32", "shape": [rows, dim], "data_offsets": [0, 4 * rows * dim]}
        header = json.dumps({"__metadata__": {"format": "pt"}, name: facts}).encode().ljust(_HEADER - 8)
        file.seek(0)
        file.write(struct.pack("<Q", len(header)) + header)
    return rows
