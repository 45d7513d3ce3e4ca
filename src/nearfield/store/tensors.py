"""Tensors in safetensors files, whole or not at all."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from nearfield.errors import InputError, StorageError, first_line
from nearfield.store.atomic import staged_file
from nearfield.store.foreign import foreign
from nearfield.store.regular import open_regular

_CHECKSUM = "checksum"


def write_tensors(
    path: str | Path, tensors: Mapping[str, Tensor], *, facts: Mapping[str, str] | None = None
) -> None:
    """Write `tensors` by name, with `facts` in the file's header. Raises StorageError when writing
    fails.
    """
    try:
        with staged_file(path) as stage:
            # safetensors refuses views that are not contiguous
            whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
            save_file(whole, stage, metadata={"format": "pt"} | dict(facts or {}))
    except SafetensorError as error:  # what a full disk is to safetensors
        raise StorageError(
            f"{path}: could not be written: {error}. Free space or give another place; nothing "
            "was left half-written."
        ) from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name. Raises ModelError where it is damaged, InputError
    where it is no regular file.
    """
    open_regular(path).close()
    with foreign(path, "the weights could not be read"):
        return load_file(path)


def noted_tensors(
    path: str | Path, tensors: Mapping[str, Tensor], facts: Mapping[str, str]
) -> None:
    """Like `write_tensors`, with a checksum of all values and `facts` for `whole_tensors`."""
    noted = dict(facts) | {_CHECKSUM: _checksum(tensors, facts)}
    write_tensors(path, tensors, facts=noted)


def whole_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the facts that `noted_tensors` wrote. Raises InputError where they are not as
    they were written.
    """
    open_regular(path).close()
    try:
        with safe_open(path, "pt") as opened:
            facts = dict(opened.metadata())
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError, ValueError, TypeError) as error:  # TypeError: no facts
        raise InputError(f"cannot be read ({first_line(error)})", path=path) from error
    facts.pop("format", None)  # which `write_tensors` puts there, for other readers
    if facts.pop(_CHECKSUM, "") != _checksum(tensors, facts):
        raise InputError("is damaged: its checksum is not the one that was noted", path=path)
    return tensors, facts


def _checksum(tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> str:
    """CRC-32 over the facts, and over names, shapes, types and values of the tensors."""
    found = zlib.crc32(json.dumps(dict(facts), sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        found = zlib.crc32(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode(), found)
        # as bytes before numpy, which has no bfloat16
        values = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        found = zlib.crc32(values.numpy().tobytes(), found)
    return f"{found:08x}"
