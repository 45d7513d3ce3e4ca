"""A task: does each translation find its sentence, the reverse of bitext mining?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nearfield.data.open import open_pairs
from nearfield.evaluate.pair_task import PairTask
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Doubles


class Retranslation(PairTask):
    """1 where the nearest first text is the pair's own."""

    name = "retranslation"
    item = "sentence"
    measures = ("Accuracy",)

    read = staticmethod(open_pairs)

    def score(self, parts: Sequence[Embeddings], measures: Sequence[str]) -> Mapping[str, Doubles]:
        first, second = parts
        right = second.scores(first).argmax(1) == np.arange(len(first))
        return {"Accuracy": right.astype(np.float64)}
