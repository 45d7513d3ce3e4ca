"""Which training pairs go into which step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nearfield.types.arrays import Integers


@dataclass(frozen=True)
class TrainingPairs:
    """n pairs of a query and one of its positives, as positions in the split's queries and the
    collection's documents.

    `query`: (n,) int64; `positive`: (n,) int64; `negatives`: (n, k) int64, -1 where fewer than k
    were found.
    """

    query: Integers
    positive: Integers
    negatives: Integers

    def __len__(self) -> int:
        return len(self.query)

    def candidates(self, rows: Integers | None = None) -> Integers:
        """(n, 1 + k) each pair's documents, the positive first, -1 for none; of the pairs at these
        rows, or of all.
        """
        if rows is None:
            rows = np.arange(len(self))
        return np.concatenate([self.positive[rows, None], self.negatives[rows]], 1)

    def json(self) -> dict[str, Any]:
        """As lists, for a run folder."""
        return {name: places.tolist() for name, places in vars(self).items()}

    def epoch(self, batch: int, *, seed: int, epoch: int) -> list[Integers]:
        """All pairs of one epoch, each once, in shuffled batches.

        A function of its arguments alone, so that a resumed run finds the batches it would have
        had. Two pairs of a batch may share a query or a positive: the loss takes no document as a
        negative of a query that it is judged relevant to.
        """
        return _batches(len(self), batch, [seed, epoch])

    @classmethod
    def of(cls, held: Mapping[str, Any]) -> TrainingPairs:
        """From what `json` gave."""
        query = np.array(held["query"], np.int64)
        positive = np.array(held["positive"], np.int64)
        negatives = np.array(held["negatives"], np.int64)
        if not len(negatives):  # an empty list has no second axis
            negatives = negatives.reshape(0, 0)
        return cls(query, positive, negatives)


@dataclass(frozen=True)
class MixedPairs(TrainingPairs):
    """The pairs of several data sets, end to end, `sizes` of each; `mix` as in `Data`."""

    sizes: tuple[int, ...]
    mix: float

    def epoch(self, batch: int, *, seed: int, epoch: int) -> list[Integers]:
        """As many batches as all data sets fill, each of one of them, evenly spread.

        A data set of more batches than its share goes on where the epoch before ended, and one of
        fewer comes again, in another order.
        """
        filled = [len(_batches(size, batch, [seed])) for size in self.sizes]
        weights = np.array(self.sizes, np.float64) ** self.mix
        wanted = np.round(sum(filled) * weights / weights.sum())
        shares = np.maximum(1, wanted).astype(int).tolist()
        placed: list[tuple[float, int, Integers]] = []
        start = 0
        for part, (size, full, share) in enumerate(zip(self.sizes, filled, shares, strict=True)):
            # each pass through the data set has an order of its own
            passes: dict[int, list[Integers]] = {}
            for number in range(share):
                at, place = divmod(epoch * share + number, full)
                if at not in passes:
                    passes[at] = _batches(size, batch, [seed, at, part])
                # the middle of its piece of the epoch, so that no data set begins before another
                placed.append(((number + 0.5) / share, part, start + passes[at][place]))
            start += size
        # by place alone, then by data set: arrays cannot be compared
        return [rows for *_, rows in sorted(placed, key=lambda each: each[:2])]


def _batches(count: int, batch: int, seed: list[int]) -> list[Integers]:
    """The numbers below `count`, each once, in shuffled batches; a last batch of one joins the one
    before it.
    """
    order = np.random.default_rng(seed).permutation(count)
    cuts = list(range(batch, count, batch))
    if cuts and count - cuts[-1] < 2:
        cuts.pop()  # a batch of one has no negatives
    return np.split(order, cuts)
