"""Search in two steps: small vectors find, whole vectors put in order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nearfield.indexes.exact import Exact, dense_kernels
from nearfield.indexes.index import Index
from nearfield.indexes.rescore import rescored
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Mask
from nearfield.types.ranking import Ranking


@dataclass(frozen=True)
class Rescored(Index[Dense]):
    """What the exact search of `first` finds, scored again by the whole `documents`.

    `first` holds the same documents, cut or stored smaller. It finds as many as are asked for, so
    that the second step changes their order alone.
    """

    kind = "rescored"
    takes = Dense
    first: Exact
    documents: Dense

    @classmethod
    def of(cls, documents: Embeddings) -> Rescored:
        """Found by their signs."""
        whole = cls.fitting(documents)
        return cls(Exact.of(whole.quantise("binary")), whole)

    def search(self, query: Embeddings, k: int, *, where: Mask | None = None) -> Ranking:
        """See Index.search; the queries are whole."""
        asked = self.fitting(query)
        found = self.first.search(asked.truncate(self.first.documents.dim), k, where=where)
        if not found.documents.size:
            return found
        whole = replace(self.documents, similarity=asked.similarity)
        by = dense_kernels(whole)
        floats = asked.floats()
        documents, scores = rescored(floats, whole, found.documents, k, kernels=by)
        return replace(found, documents=documents, scores=scores.astype(np.float32, copy=False))
