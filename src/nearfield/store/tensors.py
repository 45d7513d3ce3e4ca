"""Tensors in safetensors files, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nearfield.errors import StorageError
from nearfield.store.atomic import staged_file
from nearfield.store.foreign import foreign
from nearfield.store.regular import open_regular


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], *, facts: Mapping[str, str] | None = None) -> None:
    """Write `tensors` by name, with `facts` in the file's header. Raises StorageError when writing fails."""
    try:
        with staged_file(path) as stage:
            save_file(dict(tensors), stage, metadata={"format": "pt", **(facts or {})})
    except SafetensorError as error:  # what a full disk is to safetensors
        raise StorageError(
            f"{path}: could not be written: {error}. Free space or give another place; nothing was left half-written."
        ) from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name. Raises ModelError where it is damaged, InputError where it is no regular file."""
    open_regular(path).close()
    with foreign(path, "the weights could not be read"):
        return load_file(path)
