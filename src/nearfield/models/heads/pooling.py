"""One vector from the states of a text's tokens."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nearfield.models.heads.segments import Segments

Pooling = Callable[[Tensor, Segments], Tensor]


def cls(states: Tensor, segments: Segments) -> Tensor:
    """The state of the first token that counts."""
    return _picked(states, segments.first, segments)


def last(states: Tensor, segments: Segments) -> Tensor:
    """The state of the last token that counts."""
    return _picked(states, segments.last, segments)


def mean(states: Tensor, segments: Segments) -> Tensor:
    """The mean over the tokens that count."""
    return _summed(segments.counted(states), segments) / segments.counts.clamp(min=1)[:, None]


def weighted(states: Tensor, segments: Segments) -> Tensor:
    """The mean over the tokens that count, weighted by position.

    The first token of a sequence has position 1, whether it counts or not (SGPT, Muennighoff 2022,
    equation 2).
    """
    weight = segments.place.to(states.dtype)[:, None]
    return _summed(segments.counted(states) * weight, segments) / _summed(weight, segments).clamp(
        min=1
    )


def maximum(states: Tensor, segments: Segments) -> Tensor:
    """The greatest value of each dimension over the tokens that count."""
    counted, full = segments.counted(states), segments.counts > 0
    # the place among the sequences that have something to pool
    owner = (full.cumsum(0) - 1)[segments.owner]
    # torch's way back counts what lies here among the greatest
    least = counted.new_full((int(full.sum()), states.shape[1]), -torch.inf)
    greatest = least.scatter_reduce(0, owner[:, None].expand_as(counted), counted, "amax")
    return states.new_zeros(len(full), states.shape[1]).masked_scatter(full[:, None], greatest)


def _picked(states: Tensor, at: Tensor, segments: Segments) -> Tensor:
    """The states (n, hidden) at positions `at`, zero where a sequence has no token that counts."""
    if not len(states):
        return states.new_zeros(len(at), states.shape[1])
    return states[at].masked_fill((segments.counts == 0)[:, None], 0.0)


def _summed(values: Tensor, segments: Segments) -> Tensor:
    """Sums over each sequence: (K, any) to (n, any)."""
    return values.new_zeros(len(segments.counts), values.shape[1]).index_add(
        0, segments.owner, values
    )


POOLINGS: dict[str, Pooling] = {
    "cls": cls,
    "last": last,
    "max": maximum,
    "mean": mean,
    "weighted": weighted,
}
"""Each takes `states: (T, hidden)`, the token states of n sequences end to end, and their segments,
and gives (n, hidden): zeros for a sequence without a token that counts.
"""
