"""Pair classification: are pairs that belong together more alike than pairs that do not?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nearfield.data.pairs import Pairs
from nearfield.evaluate.pair_task import GoldPairs
from nearfield.statistics.separation import AveragePrecision, BestAccuracy, BestF1
from nearfield.types.arrays import Doubles


class PairClassification(GoldPairs):
    """Pairs whose scores are of two values, the higher one for those that belong together.

    A pair's value is its similarity; a row is how well similarities separate the two kinds, by
    average precision, or at the best threshold by F1 or accuracy (MTEB's pair classification).
    """

    name = "pair-classification"
    takes = "pairs whose scores have two values"
    measures = ("AP", "F1", "Accuracy")
    kinds: ClassVar = {"AP": AveragePrecision, "F1": BestF1, "Accuracy": BestAccuracy}
    roles = ("similarity",)

    def __init__(self, pairs: Pairs) -> None:
        super().__init__(pairs)
        texts = len(set(pairs.queries))
        if texts * 2 <= len(pairs):
            self.notes = (
                f"{len(pairs):,} pairs have {texts:,} different first texts; if these are queries "
                "with candidates to put in order, name the task reranking",
            )

    @classmethod
    def fits(cls, data: Any) -> bool:
        """Pairs with scores of two values."""
        scored = super().fits(data) and data.scored
        return scored and len(np.unique(data.table["score"].to_numpy())) == 2

    def targets(self) -> Doubles:
        """1 where a pair belongs together, else 0."""
        together: Doubles = (self.gold == self.gold.max()).astype(np.float64)
        return together
