"""One vector from the states of a text's tokens."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Pooling = Callable[[Tensor, Tensor, Tensor], Tensor]


def cls(states: Tensor, mask: Tensor, real: Tensor) -> Tensor:
    """The state of the first token that counts."""
    return states[torch.arange(len(states), device=states.device), mask.int().argmax(1)]


def last(states: Tensor, mask: Tensor, real: Tensor) -> Tensor:
    """The state of the last token that counts, on whichever side the padding is."""
    at = mask.shape[1] - 1 - mask.flip(1).int().argmax(1)
    return states[torch.arange(len(states), device=states.device), at]


def mean(states: Tensor, mask: Tensor, real: Tensor) -> Tensor:
    """The mean over the tokens that count."""
    kept = states.masked_fill(~mask[:, :, None], 0.0)
    return kept.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


def weighted(states: Tensor, mask: Tensor, real: Tensor) -> Tensor:
    """The mean over the tokens that count, weighted by position.

    The first real token has position 1, whether it counts or not (SGPT, Muennighoff 2022, equation 2).
    """
    position = torch.arange(1, mask.shape[1] + 1, device=states.device, dtype=states.dtype)
    weight = (position - real.int().argmax(1, keepdim=True)).masked_fill(~mask, 0.0)
    return (states.masked_fill(~mask[:, :, None], 0.0) * weight[:, :, None]).sum(1) / weight.sum(1, keepdim=True).clamp(min=1e-9)


def maximum(states: Tensor, mask: Tensor, real: Tensor) -> Tensor:
    """The greatest value of each dimension over the tokens that count."""
    return states.masked_fill(~mask[:, :, None], float("-inf")).amax(1)


POOLINGS: dict[str, Pooling] = {"cls": cls, "last": last, "max": maximum, "mean": mean, "weighted": weighted}
"""Each takes `states: (B, T, hidden)`, `mask: (B, T)`, True at the tokens that count, of which each row has one, and `real: (B, T)`,
True at real tokens, and gives (B, hidden)."""
