"""Which training pairs go into which step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class TrainingPairs:
    """n pairs of a query and one of its positives, as positions in the split's queries and the collection's documents.

    `query`: (n,) int64; `positive`: (n,) int64; `negatives`: (n, k) int64, -1 where fewer than k were found.
    """

    query: npt.NDArray[np.int64]
    positive: npt.NDArray[np.int64]
    negatives: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.query)

    def json(self) -> dict[str, Any]:
        """As lists, for a run folder."""
        return {"query": self.query.tolist(), "positive": self.positive.tolist(), "negatives": self.negatives.tolist()}

    @classmethod
    def of(cls, held: Mapping[str, Any]) -> TrainingPairs:
        """From what `json` gave."""
        width = len(held["negatives"][0]) if held["negatives"] else 0
        query, positive = (np.array(held[name], np.int64) for name in ("query", "positive"))
        return cls(query, positive, np.array(held["negatives"], np.int64).reshape(len(query), width))


def epoch_batches(pairs: TrainingPairs, batch: int, *, seed: int, epoch: int) -> list[npt.NDArray[np.int64]]:
    """All pairs of one epoch in shuffled batches, no query and no positive twice in a batch where that can be had.

    A function of its arguments alone, so that a resumed run finds the batches it would have had. A pair that does not fit the
    batch being filled waits for the next; the last batch may be short and is left out below 2 pairs.
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(pairs))
    batches: list[npt.NDArray[np.int64]] = []
    waiting: list[int] = order.tolist()
    while waiting:
        taken: list[int] = []
        queries, positives, left = set(), set(), []
        for at, pair in enumerate(waiting):
            query, positive = int(pairs.query[pair]), int(pairs.positive[pair])
            if query in queries or positive in positives:
                left.append(pair)
                continue
            queries.add(query)
            positives.add(positive)
            taken.append(pair)
            if len(taken) == batch:
                left += waiting[at + 1 :]
                break
        batches.append(np.array(taken, np.int64))
        waiting = left
    return [chosen for chosen in batches if len(chosen) >= 2]
