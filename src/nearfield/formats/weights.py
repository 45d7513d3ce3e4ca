"""Tensors of safetensors files, read where they lie: memory-mapped, without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from nearfield.errors import ModelError
from nearfield.store.fields import read_optional
from nearfield.store.inside import inside
from nearfield.store.tensor_places import NUMBERS, Place, tensor_places
from nearfield.types.arrays import Floats


class Weights:
    """The tensors of a folder's model.safetensors, or of the shards that its index names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[str, tuple[npt.NDArray[np.uint8], Place]] = {}
        files = safetensors_files(folder)
        if not files:
            raise ModelError(f"{folder}: holds no weights; wanted model.safetensors")
        for file in files:
            places = tensor_places(file)  # which looks whether it is a regular file
            # one map of the file; every tensor is a view of it, and is read when it is used
            content = np.asarray(np.memmap(file, np.uint8, mode="r"))
            for name, place in places.items():
                self._places[name] = (content, place)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def names(self) -> tuple[str, ...]:
        """The tensors' names."""
        return tuple(self._places)

    def float32(self, name: str) -> Floats:
        """The tensor as float32, contiguous: the mapped file itself where it is float32 there, else
        a copy.

        Raises ModelError where there is no such tensor or it is of no floating type.
        """
        if name not in self._places:
            raise ModelError(f"{self.folder}: the weights lack {name}")
        content, place = self._places[name]
        kind = place.dtype
        if kind not in ("F64", "F32", "F16", "BF16"):
            raise ModelError(
                f"{self.folder}: weight {name} is of type {kind}; wanted a floating type"
            )
        found = content[place.start : place.end].view(NUMBERS[kind]).reshape(place.shape)
        if kind == "BF16":  # the upper half of a float32
            return (found.astype(np.uint32) << 16).view(np.float32)
        # the header may be of any length, so that a tensor may lie at any byte
        return np.require(found, np.float32, ["C", "ALIGNED"])


def safetensors_files(folder: Path) -> list[Path]:
    """model.safetensors, or the shards that the index in its place names; none where there is
    neither.
    """
    return _whole_or_shards(folder, "model.safetensors")


def weight_files(folder: Path) -> list[Path]:
    """The files that a backbone's weights are read from, of safetensors or as torch saves them;
    none where there are none.
    """
    return safetensors_files(folder) or _whole_or_shards(folder, "pytorch_model.bin")


def _whole_or_shards(folder: Path, name: str) -> list[Path]:
    if (folder / name).exists():
        return [folder / name]
    index = folder / f"{name}.index.json"
    names = set(read_optional(index).named_texts("weight_map").values())
    return [inside(folder, file, path=index) for file in sorted(names)]
