"""Tensors of a file that torch.save wrote, without torch."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.errors import ModelError
from nearfield.formats.torch_pickle import unpickled
from nearfield.store.regular import open_regular

_KINDS = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
}
# numbers of all tensors together for each byte of the file: some weights are there under several
# names
_TIMES = 4
_DIMENSIONS = 64  # as many as numpy has
Array = npt.NDArray[np.float32]


def read_torch_file(file: Path) -> dict[str, Array]:
    """The named floating tensors in `file`, as float32. Raises ModelError where it is damaged or
    holds anything else.

    Since torch 1.6 such a file is a zip archive: `data.pkl` pickles the tensors, each as a view of
    a storage, and `data/KEY` holds a storage's bytes, little endian (torch/serialization.py).
    Nothing that a pickle asks for is called but what puts tensors together. No tensor is larger
    than its storage, nor are all members than the file, nor all tensors than a few times the file,
    so that a small file takes little memory. A file of before is read by torch.
    """
    open_regular(file).close()
    try:
        size = file.stat().st_size
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                _refuse_packed(archive, size)
                tensors = _views(archive)
        else:
            tensors = _read_by_torch(file)
        _refuse_expanded(tensors, size)
        return {name: value.read() for name, value in tensors.items()}
    except Exception as error:  # pickle, zip and torch each raise their own for a damaged file
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{file}: holds no weights that torch saved: {line}") from error


@dataclass(frozen=True, eq=False)
class _View:
    """A tensor that is not made yet: of a storage of `held` numbers, `shape` elements, and what
    makes it.
    """

    shape: tuple[int, ...]
    held: int
    read: Callable[[], Array]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


def _views(archive: zipfile.ZipFile) -> dict[str, _View]:
    """The tensors that the archive's pickle names."""
    pickled = _pickled(archive)
    folder = pickled.removesuffix("data.pkl")
    if (
        f"{folder}byteorder" in archive.namelist()
        and archive.read(f"{folder}byteorder") != b"little"
    ):
        raise ValueError("its numbers are big endian")
    read: dict[tuple[str, str], npt.NDArray[Any]] = {}

    def storage(pid: tuple[Any, ...]) -> npt.NDArray[Any]:
        what, kind, key, _, count = pid
        if (
            what != "storage"
            or not isinstance(kind, _Kind)
            or not isinstance(key, str)
            or type(count) is not int
        ):
            raise ValueError("it asks for what is no storage")
        if (key, kind.numbers) not in read:
            read[key, kind.numbers] = np.frombuffer(
                archive.read(f"{folder}data/{key}"), kind.numbers
            )
        found = read[key, kind.numbers]
        if len(found) < count:
            raise ValueError("a tensor is cut off")
        return found[:count]

    known: dict[str, Any] = {f"torch.{name}": _Kind(numbers) for name, numbers in _KINDS.items()}
    known |= {"collections.OrderedDict": lambda: {}, "torch._utils._rebuild_tensor_v2": _view}
    known |= {"torch._utils._rebuild_parameter": lambda data, *_: data}
    found = unpickled(archive.read(pickled), known=known, storage=storage)
    if not isinstance(found, dict) or not all(isinstance(value, _View) for value in found.values()):
        raise ValueError("it holds more than named tensors")
    return found


def _read_by_torch(file: Path) -> dict[str, _View]:
    """The tensors of a file of before torch 1.6."""
    import torch

    def view(tensor: torch.Tensor) -> _View:
        held = tensor.untyped_storage().nbytes() // tensor.element_size()
        return _View(tuple(tensor.shape), held, lambda: tensor.detach().float().numpy())

    found = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(found, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in found.values()
    ):
        raise ValueError("it holds more than named tensors")
    return {str(name): view(value) for name, value in found.items()}


def _refuse_packed(archive: zipfile.ZipFile, size: int) -> None:
    """Raise ValueError for a member that is compressed, which torch's never are, or where they hold
    more than the file's `size` bytes.
    """
    held = 0
    for member in archive.infolist():
        held += member.file_size
        if member.compress_type != zipfile.ZIP_STORED:
            raise ValueError(
                f"its member {member.filename} is compressed, and torch compresses none"
            )
        if held > size:
            raise ValueError(
                f"its members up to {member.filename} hold {held:,} bytes, and the "
                f"whole file {size:,}"
            )


def _refuse_expanded(tensors: Mapping[str, _View], size: int) -> None:
    """Raise ValueError that names the first tensor with more elements than its storage has numbers,
    or than all may have together.
    """
    made = 0
    for name, value in tensors.items():
        made += value.elements
        if value.elements > value.held:
            raise ValueError(
                f"tensor {name} has {value.elements:,} elements, and its storage "
                f"{value.held:,} numbers"
            )
        if made > _TIMES * size:
            raise ValueError(
                f"its tensors up to {name} have {made:,} elements, and the whole "
                f"file {size:,} bytes"
            )


def _pickled(archive: zipfile.ZipFile) -> str:
    """The place of `data.pkl` in the archive, which has one."""
    inside = [
        name for name in archive.namelist() if name.endswith("/data.pkl") or name == "data.pkl"
    ]
    if len(inside) != 1:
        raise ValueError("it holds no data.pkl")
    return inside[0]


class _Kind:
    """A class of torch's storages: how its numbers lie."""

    __slots__ = ("numbers",)

    def __init__(self, numbers: str) -> None:
        self.numbers = numbers


def _view(
    storage: npt.NDArray[Any],
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    gradient: bool = False,
    hooks: Any = None,
    marks: Any = None,
) -> _View:
    """The tensor of this size whose element at i lies at offset + i . stride of the storage.
    `marks` are torch's of a tensor whose numbers are not those that lie there, such as a negated
    view.
    """
    if marks:
        raise ValueError("a tensor is marked, such as a negated one")
    if type(storage) is not np.ndarray or storage.ndim != 1:
        raise ValueError("a tensor is made of no storage")
    if not all(type(part) is tuple and len(part) <= _DIMENSIONS for part in (size, stride)):
        raise ValueError(f"a tensor has no size and stride, or more than {_DIMENSIONS} dimensions")
    if any(type(number) is not int for part in ((offset,), size, stride) for number in part):
        raise ValueError("a tensor lies at what is no whole number")
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or (0 not in size and last >= len(storage)):
        raise ValueError("a tensor lies past its numbers")

    def read() -> Array:
        rows = storage[offset:] if 0 not in size else storage[:0]
        found = np.lib.stride_tricks.as_strided(
            rows, size, tuple(step * storage.itemsize for step in stride)
        )
        if storage.dtype == np.uint16:  # bfloat16, the upper half of a float32
            return np.asarray(found.astype(np.uint32) << 16).view(np.float32)
        return np.array(found, np.float32, order="C")

    return _View(size, len(storage), read)
