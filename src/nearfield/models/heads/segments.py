"""Which token states of a packed row belong to which sequence, and which of them count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nearfield.batch.packed import Packed


@dataclass(frozen=True)
class Segments:
    """n sequences of T token states that lie end to end; K of the tokens count.

    `first`, `last`: (n,) int64, each sequence's first and last token that counts (0 where none
    does). `counts`: (n,) int64, how many count. `kept`: (K,) int64, the tokens that count, or None
    where all do. `owner`: (K,) int64, the sequence of each. `place`: (K,) int64, its place in its
    sequence, from 1, whatever counts.
    """

    first: Tensor
    last: Tensor
    counts: Tensor
    kept: Tensor | None
    owner: Tensor
    place: Tensor

    @classmethod
    def of(cls, batch: Packed, *, skip: int = 0, device: str | torch.device = "cpu") -> Segments:
        """The segments of `batch` when the first `skip` tokens of each sequence do not count."""
        lengths = batch.lengths
        counts = np.maximum(lengths - skip, 0)
        kept = np.flatnonzero(batch.positions >= skip) if skip else np.arange(len(batch.ids))
        owner = np.repeat(np.arange(len(batch)), counts)
        first = np.where(counts > 0, batch.offsets[:-1] + skip, 0)
        last = np.where(counts > 0, batch.offsets[1:] - 1, 0)
        parts = (first, last, counts, kept, owner, batch.positions[kept] + 1)
        first_, last_, counts_, kept_, owner_, place = (
            torch.from_numpy(part).to(device) for part in parts
        )
        return cls(first_, last_, counts_, kept_ if skip else None, owner_, place)

    def counted(self, states: Tensor) -> Tensor:
        """The states of the tokens that count: (T, hidden) to (K, hidden)."""
        return states if self.kept is None else states[self.kept]
