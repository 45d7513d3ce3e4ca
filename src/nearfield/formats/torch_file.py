"""Tensors of a file that torch.save wrote: converted once by torch, read without it afterwards."""

from __future__ import annotations

import hashlib
import pickletools
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nearfield.errors import ModelError, StorageError, first_line
from nearfield.formats.weights import Weights
from nearfield.store.home import home
from nearfield.store.kept import kept_folder
from nearfield.store.regular import open_regular

_KNOWN = frozenset(
    (
        "collections OrderedDict",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        *(f"torch {kind}Storage" for kind in ("Double", "Float", "Half", "BFloat16")),
    )
)
"""What the pickle of a file of tensors names, as "module name"."""
_LARGEST = 1000  # values in a tuple and the tuples in it; a tensor's arguments are 140 at most
# elements of all tensors for each byte of the file: some weights are there under several names
_TIMES = 4
_PICKLES = 5  # that a file of before torch 1.6 begins with
Array = npt.NDArray[np.float32]


def read_torch_file(file: Path) -> dict[str, Array]:
    """The named floating tensors in `file`, as float32. Raises ModelError where it is damaged or
    holds anything else.

    The first time, torch reads the file by `weights_only`, and the tensors are kept in the cache as
    safetensors under the file's SHA-256. Before that the pickle is looked through for what could
    end the process or never end; no tensor may be larger than its storage, nor all members than the
    file, nor all tensors than a few times the file, so that a small file takes little memory.
    """
    with open_regular(file) as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()

    def convert(stage: Path) -> None:
        from safetensors.numpy import save_file

        save_file(_read(file), stage / "model.safetensors")

    try:
        kept = Weights(kept_folder(home() / "tensors" / digest, convert))
    except StorageError:  # a cache that cannot be written is done without
        return _read(file)
    return {name: np.array(kept.float32(name)) for name in kept.names()}


def _read(file: Path) -> dict[str, Array]:
    import torch

    size = file.stat().st_size
    try:
        zipped = zipfile.is_zipfile(file)
        if zipped:
            _check_archive(file, size)
        else:
            with open_regular(file) as opened:
                for _ in range(_PICKLES):
                    _check_pickle(opened)
        # only a zip archive can be mapped
        found = torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)
        _check_tensors(found, size)
        return {name: tensor.detach().float().numpy().copy() for name, tensor in found.items()}
    except Exception as error:  # pickle, zip and torch each raise their own for a damaged file
        said = first_line(error)
        raise ModelError(f"{file}: holds no weights that torch saved: {said}") from error


def _check_archive(file: Path, size: int) -> None:
    """Raise ValueError for a member that is compressed, which torch's never are, where members
    share a name or hold more than the file's `size` bytes, and for the pickle among them.
    """
    held = 0
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        for member in members:
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
        # torch looks for a member without regard to upper and lower case
        names = {member.filename.lower() for member in members}
        pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if len(names) < len(members) or len(pickles) != 1:
            raise ValueError("it holds no data.pkl, or members of one name")
        _check_pickle(archive.read(pickles[0]))


def _check_pickle(data: bytes | IO[bytes]) -> None:
    """Raise ValueError for a pickle that names anything else than tensors are made of, or makes
    tuples so large or so deep that to hash one would take for ever or end the process.

    What is on the unpickler's stack is followed by its weight alone: of a tuple one more than that
    of all its items, 1 of all else, None of a mark.
    """
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    for operation, argument, _ in pickletools.genops(data):
        name, needed = operation.name, len(operation.stack_before)
        if name == "GLOBAL" and argument not in _KNOWN:
            raise ValueError(f"it asks for {str(argument)[:80]}")
        taken = []
        if pickletools.stackslice in operation.stack_before:
            while (top := stack.pop()) is not None:
                taken.append(top)
            needed -= 2
        taken += [stack.pop() for _ in range(needed)]
        weight = 1
        if "GET" in name:
            weight = memo[argument]
        elif "TUPLE" in name:
            weight += sum(taken)
        if weight > _LARGEST:
            raise ValueError("it nests values, which no file of tensors does")
        stack += [None if name == "MARK" else weight] * len(operation.stack_after)
        if "PUT" in name:
            memo[argument] = stack[-1]


def _check_tensors(found: Any, size: int) -> None:
    """Raise ValueError where anything else than named floating tensors was `found`, and for the
    first tensor with more elements than its storage has numbers, or than all may have together.
    """
    import torch

    if not isinstance(found, dict):
        raise ValueError("it holds more than named tensors")
    made = 0
    for name, tensor in found.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise ValueError("it holds more than named tensors")
        if not tensor.is_floating_point():
            raise ValueError(f"tensor {name} holds {tensor.dtype}; wanted floating numbers")
        held = tensor.untyped_storage().nbytes() // tensor.element_size()
        elements = tensor.numel()
        made += elements
        if elements > held:
            raise ValueError(
                f"tensor {name} has {elements:,} elements, and its storage {held:,} numbers"
            )
        if made > _TIMES * size:
            raise ValueError(
                f"its tensors up to {name} have {made:,} elements, and the whole file "
                f"{size:,} bytes"
            )
