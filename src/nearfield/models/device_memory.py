"""What is said where a device has no room left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nearfield.errors import InputError, first_line

_ADVICE = (
    "End what else runs on it, open the model with fewer batch_tokens, or take the device cpu."
)


@contextmanager
def device_memory(advice: str = _ADVICE) -> Iterator[None]:
    """Raise InputError, which ends with `advice`, where the block needs more memory than the device
    has.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise InputError(f"the device's memory is full: {first_line(error)} {advice}") from error
