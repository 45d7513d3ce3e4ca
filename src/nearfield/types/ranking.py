"""What a search returns: for each query the best documents and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nearfield.types.arrays import Floats, Integers


@dataclass(frozen=True)
class Ranking:
    """The k best documents of n queries, best first.

    `documents`: (n, k) int64, positions in `document_ids`, -1 where a query has fewer than k
    results (always at the end). `scores`: (n, k) float32, higher is closer, -inf where `documents`
    is -1. `parts` are the rankings that it was made of, by name: those that were fused, or the one
    that was re-ranked.
    """

    query_ids: Sequence[str]
    document_ids: Sequence[str]
    documents: Integers
    scores: Floats
    parts: Mapping[str, Ranking] = field(default_factory=dict)

    def named(self, query_ids: Sequence[str], document_ids: Sequence[str]) -> Ranking:
        """The same results with the ids of their queries and documents."""
        return replace(self, query_ids=query_ids, document_ids=document_ids)

    def of(self, query: int) -> list[tuple[str, float]]:
        """Document ids and scores of the query at this position, best first."""
        found = self.documents[query] >= 0
        documents = self.documents[query][found].tolist()
        ids = [self.document_ids[document] for document in documents]
        return list(zip(ids, self.scores[query][found].tolist(), strict=True))

    def without(self, own: Integers | None, k: int) -> Ranking:
        """The first `k` results of each query but the document `own[query]`, a position; -1 for a
        query that has none, None for no query's.

        Where it was found, k + 1 results are needed to be left with k.
        """
        if own is None:
            return self.top(k)
        # (n, k); an own of -1 is no document, and would else be found where results are missing
        found = (self.documents == own[:, None]) & (own >= 0)[:, None]
        documents = np.where(found, -1, self.documents)
        scores = np.where(found, np.float32(-np.inf), self.scores)
        # stable, so that those that stay keep their order, and what is left out stands behind them
        order = np.argsort(documents < 0, axis=1, kind="stable")[:, :k]
        return replace(
            self,
            documents=np.take_along_axis(documents, order, 1),
            scores=np.take_along_axis(scores, order, 1),
        )

    def top(self, k: int) -> Ranking:
        """The first `k` results of each query."""
        return replace(self, documents=self.documents[:, :k], scores=self.scores[:, :k])
