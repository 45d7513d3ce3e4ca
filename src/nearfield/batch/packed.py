"""Token sequences end to end in one row, without padding, cut into batches of a token budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nearfield.batch.sequences import Sequences, laid_out, taken
from nearfield.batch.tokens import Tokens
from nearfield.types.arrays import Integers


@dataclass(frozen=True)
class Packed(Sequences):
    """n token sequences, longest first, so that sequences of equal length lie next to each other;
    among these in the order of how many of their tokens are unseen.

    `items`: (n,) int64, where each sequence stood in what was packed. `prompt_tokens`: how many
    tokens at the start of each sequence belong to the prompt.
    """

    items: Integers
    prompt_tokens: int = 0

    def __len__(self) -> int:
        return len(self.items)

    @property
    def positions(self) -> Integers:
        """(T,) int64, each token's place in its sequence, from 0."""
        begins = np.repeat(self.offsets[:-1], self.lengths)  # (T,)
        return np.arange(len(self.ids)) - begins

    @property
    def groups(self) -> list[tuple[int, int, int]]:
        """The runs of equal length, as (first token, sequences, length); runs of length 0 are left
        out.
        """
        return [
            (int(self.offsets[start]), end - start, length)
            for start, end, length, _ in self._runs()
        ]

    @property
    def seen(self) -> list[int]:
        """How many tokens of a sequence, from its first, are looked at, in each of `groups`."""
        return [length - unseen for _, _, length, unseen in self._runs()]

    def _runs(self) -> list[tuple[int, int, int, int]]:
        """The runs of sequences alike in length and in how many of their tokens are unseen: first,
        past the last, and these two.
        """
        lengths = self.lengths
        unseen = self.filled("unseen")
        # -1 is no length, so that the first sequence and the end are changes, too
        changes = np.diff(lengths, prepend=-1, append=-1) != 0
        changes |= np.diff(unseen, prepend=-1, append=-1) != 0
        runs = []
        for start, end in pairwise(np.flatnonzero(changes).tolist()):
            if lengths[start]:
                runs.append((start, end, int(lengths[start]), int(unseen[start])))
        return runs


def pack(tokens: Tokens, items: Integers) -> Packed:
    """The sequences at `items: (n,)` of `tokens` as one batch, longest first; ties keep their
    order.
    """
    items = items[_longest_first(tokens, items)]
    source, offsets = laid_out(tokens.offsets[items], tokens.lengths[items])
    return Packed(
        tokens.ids[source],
        offsets,
        items,
        tokens.prompt_tokens,
        columns=taken(tokens.columns, tokens=source, sequences=items),
        looked_up=tokens.looked_up,
    )


def _longest_first(tokens: Tokens, items: Integers) -> Integers:
    # by the last key first; stable, so that ties keep their order
    return np.lexsort((tokens.filled("unseen")[items], -tokens.lengths[items]))


def packed_batches(tokens: Tokens, budget: int, *, items: Integers | None = None) -> list[Packed]:
    """All of `tokens`, or those at `items`, longest first, in batches of at most `budget` tokens
    (one sequence at least).

    The cut depends on the lengths alone, and ties keep their order.
    """
    chosen = np.arange(len(tokens.lengths)) if items is None else items
    order = chosen[_longest_first(tokens, chosen)]
    # how many tokens the sequences take up to each; a batch ends where the next would be too many
    ends = np.cumsum(tokens.lengths[order])
    batches = []
    start = 0
    while start < len(order):
        before = int(ends[start - 1]) if start else 0
        fitting = int(np.searchsorted(ends, before + budget, side="right"))
        end = max(start + 1, fitting)
        batches.append(pack(tokens, order[start:end]))
        start = end
    return batches


def mixed(batches: Sequence[Packed]) -> list[Packed]:
    """The batches in an order in which those that are done always hold long and short items as all
    do.

    The share of the items that are done is then the share of the work, and says how long the rest
    takes. The order is that of the multiples of the golden ratio, which lie evenly however many are
    taken.
    """
    # argsort twice is the rank: place i takes the batch at the rank of the i-th multiple
    order = np.argsort(np.arange(len(batches)) * 0.6180339887498949 % 1.0)
    return [batches[at] for at in np.argsort(order)]
