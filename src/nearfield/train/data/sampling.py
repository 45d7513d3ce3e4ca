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

    def json(self) -> dict[str, Any]:
        """As lists, for a run folder."""
        return {name: places.tolist() for name, places in vars(self).items()}

    @classmethod
    def of(cls, held: Mapping[str, Any]) -> TrainingPairs:
        """From what `json` gave."""
        query, positive = (np.array(held[name], np.int64) for name in ("query", "positive"))
        negatives = np.array(held["negatives"], np.int64)
        return cls(query, positive, negatives if len(negatives) else np.empty((0, 0), np.int64))


def epoch_batches(pairs: TrainingPairs, batch: int, *, seed: int, epoch: int) -> list[Integers]:
    """All pairs of one epoch, each once, in shuffled batches; a last batch of one pair joins the
    one before it.

    A function of its arguments alone, so that a resumed run finds the batches it would have had.
    Two pairs of a batch may share a query or a positive: the loss takes no document as a negative
    of a query that it is judged relevant to.
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(pairs))
    cuts = list(range(batch, len(order), batch))
    if cuts and len(order) - cuts[-1] < 2:
        cuts.pop()
    return np.split(order, cuts)
