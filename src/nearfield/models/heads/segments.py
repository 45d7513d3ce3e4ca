"""Which token states of a packed row belong to which sequence, and which of them count."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from nearfield.batch.packed import Packed
from nearfield.models.heads.arrays import beside, is_numpy
from nearfield.types.arrays import Integers


class Segments:
    """n sequences of T token states that lie end to end; the first `skip` tokens of each do not
    count, the K others do.

    `counts`: (n,) int64, how many of each sequence count. States are arrays or tensors.
    """

    def __init__(self, batch: Packed, *, skip: int = 0) -> None:
        self.batch = batch
        self.skip = skip
        self.counts = np.maximum(batch.lengths - skip, 0)

    @cached_property
    def kept(self) -> Integers:
        """(K,) the tokens that count."""
        return np.flatnonzero(self.batch.positions >= self.skip)

    @cached_property
    def place(self) -> Integers:
        """(K,) the place in its sequence, from 1, of each token that counts."""
        return self.batch.positions[self.kept] + 1

    @property
    def owner(self) -> Integers:
        """(K,) the sequence of each token that counts."""
        return np.repeat(np.arange(len(self.batch)), self.counts)

    def counted(self, states: Any) -> Any:
        """The states of the tokens that count: (T, hidden) to (K, hidden)."""
        if self.skip:
            return states[beside(self.kept, states)]
        return states

    def first(self, states: Any) -> Any:
        """(n, hidden): the state of each sequence's first token that counts, zeros for none."""
        return self._picked(states, self.batch.offsets[:-1] + self.skip)

    def last(self, states: Any) -> Any:
        """(n, hidden): the state of each sequence's last token, zeros where none counts."""
        return self._picked(states, self.batch.offsets[1:] - 1)

    def _picked(self, states: Any, at: Integers) -> Any:
        filled = self.counts > 0
        if filled.all():
            return states[beside(at, states)]
        picked = _zeros(states, len(at), states.shape[1])
        picked[beside(filled, states)] = states[beside(at[filled], states)]
        return picked

    def summed(self, values: Any) -> Any:
        """Sums over each sequence: (K, any) to (n, any), zeros where none counts."""
        total = _zeros(values, len(self.counts), values.shape[1])
        if not is_numpy(values):
            return total.index_add(0, beside(self.owner, values), values)
        for rows, group in self._groups(values):
            total[rows] = group.sum(1)
        return total

    def greatest(self, values: Any) -> Any:
        """The greatest of each column over each sequence: (K, any) to (n, any), zeros where none
        counts.
        """
        filled = np.flatnonzero(self.counts)
        found = _zeros(values, len(self.counts), values.shape[1])
        if is_numpy(values):
            for rows, group in self._groups(values):
                found[rows] = group.max(1)
            return found
        # the place among the sequences that have something to pool
        owner = np.repeat(np.arange(len(filled)), self.counts[filled])
        index = beside(owner, values)[:, None].expand_as(values)
        # not zeros: torch's way back shares a slope with what lies here, where it is as great
        least = values.new_full((len(filled), values.shape[1]), -float("inf"))
        found[beside(filled, values)] = least.scatter_reduce(0, index, values, "amax")
        return found

    def _groups(self, values: Any) -> Any:
        """The values of sequences of equal length, which lie next to each other, as (count, length,
        any), with the rows that these sequences are.
        """
        ends = np.cumsum(self.counts)
        # -1 is no count, so that the first sequence and the end are changes, too
        changes = np.flatnonzero(np.diff(self.counts, prepend=-1, append=-1))
        for start, end in pairwise(changes.tolist()):
            length = int(self.counts[start])
            if length:
                first = int(ends[start]) - length
                block = values[first : int(ends[end - 1])]
                yield slice(start, end), block.reshape(end - start, length, -1)


def _zeros(like: Any, rows: int, columns: int) -> Any:
    if is_numpy(like):
        return np.zeros((rows, columns), like.dtype)
    return like.new_zeros(rows, columns)
