"""What a folder of images states, tried: files that do not fit one another are one error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch

from nearfield.errors import ModelError, NearfieldError, first_line


@contextlib.contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Raises ModelError, naming the folder, for whatever transformers and the networks raise on
    what its files state, but that memory ran out: each class has its own way to say so.
    """
    try:
        yield
    except (NearfieldError, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:
        kind = type(error).__name__
        raise ModelError(
            f"{path}: cannot be opened or run as its files say: {kind}: {first_line(error)}"
        ) from error
