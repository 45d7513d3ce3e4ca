"""Similarity: do pairs that people find more alike get higher scores?"""

from __future__ import annotations

from typing import Any, ClassVar

from nearfield.encoders.encoder import Encoder
from nearfield.evaluate.pair_task import GoldPairs
from nearfield.statistics.correlation import PEARSON, SPEARMAN, Pearson, Spearman
from nearfield.types.arrays import Doubles
from nearfield.types.progress import Progress, silent


class Similarity(GoldPairs):
    """Scored pairs: a pair's value is its similarity, and a row is its correlation with the scores.

    Raises InputError where all pairs have the same score.
    """

    name = "similarity"
    takes = "pairs with a score"
    measures = (SPEARMAN, PEARSON)
    kinds: ClassVar = {SPEARMAN: Spearman, PEARSON: Pearson}
    roles = ("similarity",)

    def targets(self) -> Doubles:
        """People's scores."""
        return self.gold

    def mean(self, encoder: Encoder[Any], *, progress: Progress = silent) -> float:
        """The correlation that the encoder reaches as it stands."""
        (row,) = self.encoded(encoder, progress=progress)
        return self.statistic.of(row.scores[SPEARMAN])
