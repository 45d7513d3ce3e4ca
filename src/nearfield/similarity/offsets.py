"""Items of some values each, end to end: item i has the values `offsets[i]:offsets[i + 1]`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from nearfield.batch.sequences import laid_out, offsets_of
from nearfield.types.arrays import Floats, Integers


def segments(offsets: Integers, chosen: Any) -> tuple[Integers, Integers]:
    """Where the values of the m segments that are `chosen`, by a slice or by their positions, lie
    end to end, and the offsets (m + 1,) that they have then.
    """
    return laid_out(offsets[:-1][chosen], np.diff(offsets)[chosen])


def joined_offsets(lengths: Sequence[Integers]) -> Integers:
    """The offsets (n + 1,) of segments of these lengths, end to end."""
    return offsets_of(np.concatenate(lengths))


def slices(offsets: Integers) -> Iterator[slice]:
    """Where the values of each item lie."""
    for start, end in pairwise(offsets.tolist()):
        yield slice(start, end)


def largest(values: Floats, offsets: Integers) -> Floats:
    """(n,) the greatest of the `values` (at least 0) of each segment; 0 of an empty one."""
    found = np.zeros(len(offsets) - 1, np.float32)
    # reduceat gives an empty segment the value that follows it
    filled = np.flatnonzero(np.diff(offsets))
    if len(filled):
        found[filled] = np.maximum.reduceat(values, offsets[filled])
    return found


def item_blocks(offsets: Integers | Sequence[int], most: int) -> list[tuple[int, int]]:
    """All items in runs, first and past the last of each: as many as have at most `most` values
    together, and one item at least.
    """
    ends = np.asarray(offsets)
    blocks = []
    start = 0
    n = len(ends) - 1
    while start < n:
        # the first item that ends beyond `most` values is left to the next run
        beyond = int(np.searchsorted(ends, ends[start] + most, side="right"))
        end = max(start + 1, beyond - 1)
        blocks.append((start, end))
        start = end
    return blocks
