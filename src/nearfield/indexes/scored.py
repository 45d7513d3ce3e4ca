"""Exact search over embeddings of any kind: each document is scored as its kind says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nearfield.errors import ContractError, InputError
from nearfield.indexes.index import Index, allowed, ranking_of
from nearfield.indexes.top import best_of_blocks
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Floats, Mask, Positions
from nearfield.types.ranking import Ranking

BLOCK = 16_384  # documents scored at a time; with QUERIES rows a block of scores takes 4 MB
QUERIES = 64


@dataclass(frozen=True)
class Scored(Index[Embeddings]):
    """Every document is scored by `query.scores`, a block at a time. One with a score of -inf is
    not found.
    """

    kind = "scored"
    takes = Embeddings
    documents: Embeddings
    block: int = BLOCK

    @classmethod
    def of(cls, documents: Embeddings) -> Scored:
        return cls(documents)

    def search(self, query: Embeddings, k: int, *, where: Mask | None = None) -> Ranking:
        """See Index.search. Raises InputError, naming the document, where a score is NaN."""
        if query.kind != self.documents.kind:
            raise ContractError(
                f"queries are {query.kind} and documents {self.documents.kind}; both "
                "sides need the same model"
            )
        positions = allowed(where, len(self))
        documents = self.documents if positions is None else self.documents[positions]
        blocks = _scores(query, documents, self.block, positions)
        return ranking_of(best_of_blocks(blocks, len(query), k), positions)


def _scores(
    query: Embeddings, documents: Embeddings, block: int, positions: Positions | None
) -> Iterator[tuple[int, int, Floats]]:
    for start in range(0, len(documents), block):
        part = documents[start : start + block]
        for first in range(0, len(query), QUERIES):
            scored = query[first : first + QUERIES].scores(part)
            bad = np.flatnonzero(np.isnan(scored).any(0))
            if len(bad):
                at = start + bad[0]
                document = at if positions is None else positions[at]
                raise InputError(
                    f"document {document} has a score of NaN: its vectors or a "
                    "query's are not finite"
                )
            yield first, start, scored
