"""Bitext mining: is each sentence's translation the nearest of all?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nearfield.data.open import open_pairs
from nearfield.evaluate.pair_task import PairTask
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Doubles

_CELLS = 4_000_000  # similarities at a time: 16 MB


class Bitext(PairTask):
    """Sentences and their translations, pair by pair: the first finds its second among all.

    Accuracy is 1 where the nearest second text is the pair's own. F1 is MTEB's: precision and
    recall per second text, a pair's share of which is 2 right / (1 + times it was found), so that
    the mean over pairs is scikit-learn's f1_score(average="weighted"). Pairs with scores are taken
    for similarity unless this task is named.
    """

    name = "bitext"
    takes = "pairs of a text and its translation"
    item = "sentence"
    measures = ("F1", "Accuracy")

    read = staticmethod(open_pairs)

    def score(self, parts: Sequence[Embeddings], measures: Sequence[str]) -> Mapping[str, Doubles]:
        """Whether each pair was found, and its share of F1."""
        first, second = parts
        count = len(first)
        rows = max(1, _CELLS // count)
        # a block of rows at a time: all similarities of a large set do not fit into memory
        nearest = np.concatenate(
            [first[at : at + rows].scores(second).argmax(1) for at in range(0, count, rows)]
        )
        right = (nearest == np.arange(count)).astype(np.float64)
        found = np.bincount(nearest, minlength=count)
        return {"F1": 2 * right / (1 + found), "Accuracy": right}
