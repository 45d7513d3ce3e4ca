"""One vector from the states of a text's tokens."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Pooling = Callable[[Tensor, Tensor], Tensor]


def cls(states: Tensor, mask: Tensor) -> Tensor:
    """The state of the first real token."""
    return states[torch.arange(len(states), device=states.device), mask.int().argmax(1)]


def last(states: Tensor, mask: Tensor) -> Tensor:
    """The state of the last real token, on whichever side the padding is."""
    at = mask.shape[1] - 1 - mask.flip(1).int().argmax(1)
    return states[torch.arange(len(states), device=states.device), at]


def mean(states: Tensor, mask: Tensor) -> Tensor:
    """The mean over real tokens."""
    kept = states.masked_fill(~mask[:, :, None], 0.0)
    return kept.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


def weighted(states: Tensor, mask: Tensor) -> Tensor:
    """The mean over real tokens weighted by position, 1 for the first (SGPT, Muennighoff 2022, equation 2)."""
    position = torch.arange(1, mask.shape[1] + 1, device=states.device, dtype=states.dtype)
    weight = (position - mask.int().argmax(1, keepdim=True)).masked_fill(~mask, 0.0)
    return (states.masked_fill(~mask[:, :, None], 0.0) * weight[:, :, None]).sum(1) / weight.sum(1, keepdim=True).clamp(min=1e-9)


def maximum(states: Tensor, mask: Tensor) -> Tensor:
    """The greatest value of each dimension over real tokens."""
    return states.masked_fill(~mask[:, :, None], float("-inf")).amax(1)


POOLINGS: dict[str, Pooling] = {"cls": cls, "last": last, "max": maximum, "mean": mean, "weighted": weighted}
"""Each takes `states: (B, T, hidden)` and `mask: (B, T)`, True at real tokens, of which each row has one, and gives (B, hidden)."""
