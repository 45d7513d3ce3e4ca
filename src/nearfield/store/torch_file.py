"""Tensors of a file that torch.save wrote, without torch."""

from __future__ import annotations

import collections
import math
import operator
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nearfield.errors import ModelError

_STORAGES = {"DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "<u2"}
Array = npt.NDArray[np.float32]


def read_torch_file(file: Path) -> dict[str, Array]:
    """The named floating tensors in `file`, as float32. Raises ModelError where it is damaged or holds anything else.

    Since torch 1.6 such a file is a zip archive: `data.pkl` pickles the tensors, each as a view of a storage, and `data/KEY` holds a
    storage's bytes, little endian (torch/serialization.py). Nothing that a pickle asks for is called but what puts tensors together. No
    tensor is larger than its storage, nor are all members than the file, so that a small file takes little memory. A file of before is
    read by torch.
    """
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                _refuse_packed(archive, file.stat().st_size)
                with archive.open(_pickled(archive)) as pickled:
                    loaded = _Reader(archive, pickled).load()
        else:
            import torch

            found = torch.load(file, map_location="cpu", weights_only=True)
            loaded = {name: value.detach().float().numpy() for name, value in found.items()}
        if isinstance(loaded, Mapping):
            _refuse_expanded(loaded)
        if not isinstance(loaded, Mapping) or not all(isinstance(value, np.ndarray) for value in loaded.values()):
            raise ValueError("it holds more than named tensors")
    except Exception as error:  # pickle, zip and torch each raise their own for a damaged file
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{file}: holds no weights that torch saved: {line}") from error
    return {str(name): value for name, value in loaded.items()}


class _Reader(pickle.Unpickler):
    """Unpickles `data.pkl`, of which it knows tensors, parameters and ordered dictionaries."""

    def __init__(self, archive: zipfile.ZipFile, pickled: IO[bytes]) -> None:
        super().__init__(pickled)
        self._archive, self._folder = archive, _pickled(archive).removesuffix("data.pkl")
        order = f"{self._folder}byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise ValueError("its numbers are big endian")

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """What stands for a class or function of the pickle. Raises UnpicklingError for any but the few that tensors are made with."""
        if module == "torch" and name in _STORAGES:
            return _Storage(_STORAGES[name])
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): lambda *parts: _tensor(*parts),  # a function of its own, which a pickle may spoil
            ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> npt.NDArray[Any]:
        """The storage that the pickle names: a row of numbers."""
        what, storage, key, _, count = pid
        if what != "storage" or not isinstance(storage, _Storage):
            raise pickle.UnpicklingError(f"it asks for a {what}")
        found = np.frombuffer(self._archive.read(f"{self._folder}data/{key}"), storage.kind)
        if len(found) < count:
            raise ValueError("a tensor is cut off")
        return found[:count]


def _refuse_packed(archive: zipfile.ZipFile, size: int) -> None:
    """Raise ValueError for a member that is compressed, which torch's never are, or where they hold more than the file's `size` bytes."""
    held = 0
    for member in archive.infolist():
        held += member.file_size
        if member.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"its member {member.filename} is compressed, and torch compresses none")
        if held > size:
            raise ValueError(f"its members up to {member.filename} hold {held:,} bytes, and the whole file {size:,}")


def _refuse_expanded(loaded: Mapping[Any, Any]) -> None:
    """Raise ValueError that names the first tensor with more elements than its storage has numbers."""
    for name, value in loaded.items():
        if isinstance(value, _Expanded):
            raise ValueError(f"tensor {name} has {value.elements:,} elements, and its storage {value.held:,} numbers")


def _pickled(archive: zipfile.ZipFile) -> str:
    """The place of `data.pkl` in the archive, which has one."""
    inside = [name for name in archive.namelist() if name.endswith("/data.pkl") or name == "data.pkl"]
    if len(inside) != 1:
        raise ValueError("it holds no data.pkl")
    return inside[0]


class _Storage:
    """A class of torch's storages: `kind` is how its numbers lie."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __call__(self) -> None:
        raise pickle.UnpicklingError("a storage is no function")


@dataclass(frozen=True)
class _Expanded:
    """What stands for a tensor of more `elements` than the `held` numbers of its storage until its name is known: it is not made."""

    elements: int
    held: int


def _tensor(
    storage: npt.NDArray[Any],
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    gradient: bool = False,
    hooks: Any = None,
    marks: Any = None,
) -> Array | _Expanded:
    """The tensor of this size whose element at i lies at offset + i . stride of the storage. `marks` are torch's of a tensor whose numbers
    are not those that lie there, such as a negated view."""
    if marks:
        raise ValueError(f"a tensor is marked {marks}")
    if type(storage) is not np.ndarray or storage.ndim != 1:
        raise ValueError("a tensor is made of no storage")
    offset = int(operator.index(offset))  # numbers of numpy's would wrap around in the sum below
    size, stride = (tuple(int(operator.index(number)) for number in part) for part in (size, stride))
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or (0 not in size and last >= len(storage)):
        raise ValueError("a tensor lies past its numbers")
    if math.prod(size) > len(storage):
        return _Expanded(math.prod(size), len(storage))
    rows = storage[offset:] if 0 not in size else storage[:0]
    found = np.lib.stride_tricks.as_strided(rows, size, tuple(step * storage.itemsize for step in stride))
    if storage.dtype == np.uint16:  # bfloat16, the upper half of a float32
        return np.asarray(found.astype(np.uint32) << 16).view(np.float32)
    return np.array(found, np.float32, order="C")
