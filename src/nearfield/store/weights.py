"""Tensors of safetensors files, read where they lie: memory-mapped, without torch."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.errors import ModelError

_KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}
_LONGEST_HEADER = 100_000_000  # bytes, as safetensors itself allows


class Weights:
    """The tensors of a folder's model.safetensors, or of the shards that its index names.

    Layout of a file: 8 bytes, little endian, the length of a JSON header that gives each tensor's type, shape and place; then the
    tensors (https://github.com/huggingface/safetensors#format).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[str, tuple[npt.NDArray[np.uint8], dict[str, Any]]] = {}
        for file in _files(folder):
            content, header = _mapped(file)
            self._places |= {name: (content, entry) for name, entry in header.items() if name != "__metadata__"}

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def names(self) -> tuple[str, ...]:
        """The tensors' names."""
        return tuple(self._places)

    def float32(self, name: str) -> npt.NDArray[np.float32]:
        """The tensor as float32, contiguous: the mapped file itself where it is float32 there, else a copy.

        Raises ModelError where there is no such tensor or it is of no floating type.
        """
        if name not in self._places:
            raise ModelError(f"{self.folder}: the weights lack {name}")
        content, entry = self._places[name]
        kind, (start, end) = str(entry["dtype"]), entry["data_offsets"]
        if kind not in ("F64", "F32", "F16", "BF16"):
            raise ModelError(f"{self.folder}: weight {name} is of type {kind}; wanted a floating type")
        found = content[start:end].view(_KINDS[kind]).reshape(entry["shape"])
        if kind == "BF16":  # the upper half of a float32
            return (found.astype(np.uint32) << 16).view(np.float32)
        return np.require(found, np.float32, ["C", "ALIGNED"])


def _files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").exists():
        return [folder / "model.safetensors"]
    if not index.exists():
        raise ModelError(f"{folder}: holds no weights; wanted model.safetensors")
    try:
        return [folder / name for name in sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(f"{index}: is no index of shards: {error!r}") from error


def _mapped(file: Path) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
    """The part of `file` after its header, and the header, with each place checked against the file's size."""
    try:
        whole = np.memmap(file, np.uint8, mode="r")
        length = int.from_bytes(whole[:8].tobytes(), "little")
        if len(whole) < 8 or length > min(len(whole) - 8, _LONGEST_HEADER):
            raise ValueError("it is cut off")
        header = json.loads(whole[8 : 8 + length].tobytes())
        content = np.asarray(whole[8 + length :])
        for name, entry in header.items():
            if name != "__metadata__":
                _check(name, entry, len(content))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{file}: the weights could not be read: {error}") from error
    return content, header


def _check(name: str, entry: dict[str, Any], size: int) -> None:
    start, end = entry["data_offsets"]
    if not 0 <= start <= end <= size:
        raise ValueError(f"{name} lies past the end of the file, which is cut off")
    kind = str(entry["dtype"])
    if kind in _KINDS and math.prod(entry["shape"]) * np.dtype(_KINDS[kind]).itemsize != end - start:
        raise ValueError(f"{name} takes {end - start} bytes, which is not what {kind} of shape {entry['shape']} takes")
