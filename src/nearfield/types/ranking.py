"""What a search returns: for each query the best documents and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Ranking:
    """The k best documents of n queries, best first.

    `documents`: (n, k) int64, positions in `document_ids`, -1 where a query has fewer than k results (always at the end).
    `scores`: (n, k) float32, higher is closer, -inf where `documents` is -1.
    """

    query_ids: Sequence[str]
    document_ids: Sequence[str]
    documents: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]

    def of(self, query: int) -> list[tuple[str, float]]:
        """Document ids and scores of the query at this position, best first."""
        found = self.documents[query] >= 0
        pairs = zip(self.documents[query][found].tolist(), self.scores[query][found].tolist(), strict=True)
        return [(self.document_ids[document], score) for document, score in pairs]

    def top(self, k: int) -> Ranking:
        """The first `k` results of each query."""
        return Ranking(self.query_ids, self.document_ids, self.documents[:, :k], self.scores[:, :k])
