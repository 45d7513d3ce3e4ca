"""An index: every score is computed and sorted by numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nearfield.indexes.index import Index, allowed, ranking_of
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Mask
from nearfield.types.ranking import Ranking


@dataclass(frozen=True)
class Brute(Index[Embeddings]):
    """The whole matrix of scores at once."""

    kind = "brute"
    takes = Embeddings
    documents: Embeddings

    @classmethod
    def of(cls, documents: Embeddings) -> Brute:
        return cls(documents)

    def __len__(self) -> int:
        return len(self.documents)

    def search(self, query: Embeddings, k: int, *, where: Mask | None = None) -> Ranking:
        positions = allowed(where, len(self))
        documents = self.documents if positions is None else self.documents[positions]
        scores = query.scores(documents)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return ranking_of((best, np.take_along_axis(scores, best, axis=1)), positions)
