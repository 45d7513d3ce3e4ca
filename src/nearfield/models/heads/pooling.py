"""One vector from the states of a text's tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nearfield.models.heads.arrays import beside
from nearfield.models.heads.segments import Segments

Pooling = Callable[[Any, Segments], Any]


def cls(states: Any, segments: Segments) -> Any:
    """The state of the first token that counts."""
    return segments.first(states)


def last(states: Any, segments: Segments) -> Any:
    """The state of the last token that counts."""
    return segments.last(states)


def maximum(states: Any, segments: Segments) -> Any:
    """The greatest value of each dimension over the tokens that count."""
    return segments.greatest(segments.counted(states))


def mean(states: Any, segments: Segments) -> Any:
    """The mean over the tokens that count."""
    counts = np.maximum(segments.counts, 1).astype(np.float32)
    return segments.summed(segments.counted(states)) / beside(counts, states)[:, None]


def weighted(states: Any, segments: Segments) -> Any:
    """The mean over the tokens that count, weighted by position.

    The first token of a sequence has position 1, whether it counts or not (SGPT, Muennighoff 2022,
    equation 2).
    """
    counted = segments.counted(states)
    weight = beside(segments.place.astype(np.float32), states)[:, None]
    return segments.summed(counted * weight) / segments.summed(weight).clip(1)


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
