"""Token sequences end to end in one row, without padding, cut into batches of a token budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearfield.batch.tokens import Tokens


@dataclass(frozen=True)
class Packed:
    """n token sequences end to end, longest first, so that sequences of equal length lie next to each other.

    `ids`: (T,) int32; sequence i is `ids[offsets[i]:offsets[i + 1]]`, `offsets` (n + 1,) int64. `items`: (n,) int64, where each
    sequence stood in what was packed. `prompt_tokens`: how many tokens at the start of each sequence belong to the prompt.
    `types`: (T,) int32, which of a pair's two texts each token belongs to, where the model is told that.
    """

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    prompt_tokens: int = 0
    types: npt.NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.items)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(n,) int64, tokens a sequence, falling."""
        return np.diff(self.offsets)

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        """(T,) int64, each token's place in its sequence, from 0."""
        return np.arange(len(self.ids)) - np.repeat(self.offsets[:-1], self.lengths)

    @property
    def groups(self) -> list[tuple[int, int, int]]:
        """The runs of equal length, as (first token, sequences, length); runs of length 0 are left out."""
        lengths = self.lengths
        cuts = np.flatnonzero(np.diff(lengths, prepend=-1, append=-1))
        runs = zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)
        return [(int(self.offsets[start]), end - start, int(lengths[start])) for start, end in runs if lengths[start]]


def pack(tokens: Tokens, items: npt.NDArray[np.int64]) -> Packed:
    """The sequences at `items: (n,)` of `tokens` as one batch, longest first; ties keep their order."""
    items = items[np.argsort(-tokens.lengths[items], kind="stable")]
    lengths = tokens.lengths[items]
    offsets = np.zeros(len(items) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    source = np.repeat(tokens.offsets[items] - offsets[:-1], lengths) + np.arange(offsets[-1])
    types = None if tokens.types is None else tokens.types[source]
    return Packed(tokens.ids[source], offsets, items, tokens.prompt_tokens, types)


def packed_batches(tokens: Tokens, budget: int, *, items: npt.NDArray[np.int64] | None = None) -> list[Packed]:
    """All of `tokens`, or those at `items`, longest first, in batches of at most `budget` tokens (one sequence at least).

    The cut depends on the lengths alone, and ties keep their order.
    """
    chosen = np.arange(len(tokens.lengths)) if items is None else items
    order = chosen[np.argsort(-tokens.lengths[chosen], kind="stable")]
    ends = np.cumsum(tokens.lengths[order])
    batches, start = [], 0
    while start < len(order):
        before = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + budget, side="right")))
        batches.append(pack(tokens, order[start:end]))
        start = end
    return batches
