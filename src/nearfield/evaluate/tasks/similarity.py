"""Similarity: do pairs that people find more alike get higher scores?"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from nearfield.data.pairs import Pairs
from nearfield.encoders.encoder import Encoder
from nearfield.errors import InputError
from nearfield.evaluate.pair_task import PairTask
from nearfield.evaluate.task import Floats
from nearfield.similarity.embeddings import Embeddings
from nearfield.statistics.spearman import SPEARMAN, Spearman
from nearfield.types.progress import Progress, silent


class Similarity(PairTask):
    """Scored pairs: a pair's value is its similarity, and a row is its correlation with the scores.

    Raises InputError where all pairs have the same score.
    """

    name = "similarity"
    measures = (SPEARMAN,)

    def __init__(self, pairs: Pairs) -> None:
        super().__init__(pairs)
        if not pairs.scored:
            raise InputError(
                f"{pairs.called}: these pairs have no scores; evaluate on a collection with "
                "judgements, add a column `score`, or name the task bitext for translations"
            )
        self.gold = np.asarray(pairs.table["score"].to_numpy(), np.float64)
        if len(np.unique(self.gold)) < 2:
            raise InputError(
                f"{pairs.called}: every pair has the same score, so no order can be compared with "
                "it"
            )

    @cached_property
    def statistic(self) -> Spearman:  # type: ignore[override]
        """The correlation with people's scores."""
        return Spearman(self.gold)

    def mean(self, encoder: Encoder[Any], *, progress: Progress = silent) -> float:
        """The correlation that the encoder reaches as it stands."""
        (row,) = self.encoded(encoder, progress=progress)
        return self.statistic.of(row.scores[SPEARMAN])

    def score(self, first: Embeddings, second: Embeddings) -> Mapping[str, Floats]:
        """The similarity of each pair, one pair at a time."""
        values = [
            first[row : row + 1].scores(second[row : row + 1])[0, 0] for row in range(len(first))
        ]
        return {SPEARMAN: np.array(values, np.float64)}
