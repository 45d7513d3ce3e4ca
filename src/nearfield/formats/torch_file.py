"""Tensors of a file that torch.save wrote: converted once by torch, read without it afterwards."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.errors import ModelError, StorageError, first_line
from nearfield.formats.weights import Weights
from nearfield.store.home import home
from nearfield.store.kept import kept_folder
from nearfield.store.regular import open_regular
from nearfield.types.arrays import Floats

# elements of all tensors for each byte of the file: some weights are there under several names
_TIMES = 4


def read_torch_file(file: Path) -> dict[str, Floats]:
    """The named floating tensors in `file`, as float32. Raises ModelError where it is damaged or
    holds anything else.

    The first time, torch reads the file by `weights_only`, and the tensors are kept in the cache as
    safetensors under the file's SHA-256. No tensor may be larger than its storage, nor all tensors
    than a few times the file, so that a small file takes little memory.
    """
    with open_regular(file) as opened:
        # the key in the cache is the content: a file that is written over is converted again
        digest = hashlib.file_digest(opened, "sha256").hexdigest()

    def convert(stage: Path) -> None:
        from safetensors.numpy import save_file

        save_file(_read(file), stage / "model.safetensors")

    try:
        kept = Weights(kept_folder(home() / "tensors" / digest, convert))
    except StorageError:  # a cache that cannot be written is done without
        return _read(file)
    return {name: np.array(kept.float32(name)) for name in kept.names()}


def _read(file: Path) -> dict[str, Floats]:
    import torch

    size = file.stat().st_size
    try:
        # only a zip archive, as torch has written since 1.6, can be mapped
        zipped = zipfile.is_zipfile(file)
        if zipped:
            _refuse_compressed(file)
        found = torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)
        _check_tensors(found, size)
        # copies: what is mapped ends with the file
        return {name: tensor.detach().float().numpy().copy() for name, tensor in found.items()}
    except Exception as error:  # pickle, zip and torch each raise their own for a damaged file
        said = first_line(error)
        raise ModelError(f"{file}: holds no weights that torch saved: {said}") from error


def _refuse_compressed(file: Path) -> None:
    """Raise ValueError for a compressed member, which torch's never are: it could hold far more
    than the file.
    """
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(
                    f"its member {member.filename} is compressed, and torch compresses none"
                )


def _check_tensors(found: Any, size: int) -> None:
    """Raise ValueError where anything else than named floating tensors was `found`, and for the
    first tensor with more elements than its storage has numbers, or than all may have together.
    """
    import torch

    if not isinstance(found, dict):
        raise ValueError("it holds more than named tensors")
    # A view may claim many more elements than its storage holds (a stride of 0), and many views one
    # storage: making them float32 numbers of their own would fill the memory.
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
