"""A small search problem that is measured often: some queries, their documents, and the documents
easily taken for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nearfield.data.collection import Split
from nearfield.encoders.encoded import encoded
from nearfield.encoders.encoder import Encoder
from nearfield.evaluate.measures import score_ranking
from nearfield.indexes.index import exact_index
from nearfield.indexes.top import best
from nearfield.retrieval.queries import Queries
from nearfield.retrieval.retrieve import retrieve
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Floats, Positions
from nearfield.types.progress import Progress, silent
from nearfield.types.ranking import Ranking
from nearfield.types.role import DOCUMENT, QUERY
from nearfield.types.scores import Scores

DEPTH = 100  # results per query that a measure on a pool can look at


@dataclass(frozen=True)
class Pool:
    """Queries with their relevance judgements, and the documents that they are searched in.

    `own`: (queries,) int64, the place of the document that is left out of each query's ranking, -1
    for none; None for no query's. Searching a pool is easier than searching its whole collection,
    so its figures are compared with each other only.
    """

    query_ids: Sequence[str]
    query_texts: Sequence[str]
    document_ids: Sequence[str]
    document_texts: Sequence[str]
    relevance: Mapping[str, Mapping[str, int]]
    measure: str
    own: Positions | None = None

    @classmethod
    def of(cls, split: Split, documents: Positions, measure: str) -> Pool:
        """The split's queries with the documents at these ascending positions."""
        collection = split.collection
        return cls(
            split.query_ids,
            split.query_texts,
            list(collection.document_ids[documents]),
            list(collection.document_texts[documents]),
            split.relevance,
            measure,
            places_in(documents, split.left_out),
        )

    def scores(self, encoder: Encoder, *, progress: Progress = silent) -> Scores:
        """The measure of each query with `encoder` as it stands."""
        queries, documents = self.embedded(encoder, progress=progress)
        asked = Queries(self.query_texts, self.query_ids, self.own)
        index = exact_index(documents)
        k = min(DEPTH, len(documents))
        return self._measured(retrieve(queries, index, asked, self.document_ids, k=k))

    def embedded(
        self, encoder: Encoder, *, progress: Progress = silent
    ) -> tuple[Embeddings, Embeddings]:
        """The queries and the documents as `encoder` makes them."""
        documents = encoded(encoder, self.document_texts, DOCUMENT, progress=progress)
        return encoded(encoder, self.query_texts, QUERY), documents

    def judged(self, scores: Floats) -> Scores:
        """The measure of each query where these are the scores (n, m) of all its documents."""
        k = min(DEPTH, scores.shape[1])
        places = np.arange(scores.shape[1])
        # one more, as a query's own document is taken out again
        order = np.stack([best(row, places, k + 1) for row in scores])
        found = Ranking(
            self.query_ids, self.document_ids, order, np.take_along_axis(scores, order, 1)
        )
        return self._measured(found.without(self.own, k))

    def _measured(self, ranking: Ranking) -> Scores:
        (scores,) = score_ranking(ranking, self.relevance, [self.measure]).values()
        return scores


def places_in(pool: Positions, documents: Positions | None) -> Positions | None:
    """The place in `pool`, ascending positions, of each of the positions `documents`; -1 for one
    that is not there.
    """
    if documents is None:
        return None
    # where each is or would be, which is behind the end for the greatest
    at = np.minimum(np.searchsorted(pool, documents), len(pool) - 1)
    return np.where(pool[at] == documents, at, -1)


def pooled_documents(
    judged: set[int],
    candidates: Sequence[Positions],
    allowed: Sequence[int],
    ids: Sequence[str],
    limit: int,
) -> Positions:
    """Positions of the documents of a pool, ascending: all `judged`, then the candidates by rank,
    then others, up to `limit`.

    `candidates`: arrays (n, depth) of positions, best first, -1 for none; `allowed`: the positions
    that may be taken beside the judged; others are taken in the order of a hash of their id, so
    that the choice doesn't follow the files' order.
    """
    chosen = set(judged)
    may = set(allowed)
    for document in _by_rank(candidates):
        if len(chosen) >= limit:
            return np.array(sorted(chosen), np.int64)
        if document in may:
            chosen.add(document)
    rest = sorted(
        may - chosen, key=lambda document: hashlib.sha256(ids[document].encode()).digest()
    )
    chosen.update(rest[: max(0, limit - len(chosen))])
    return np.array(sorted(chosen), np.int64)


def _by_rank(candidates: Sequence[Positions]) -> Iterator[int]:
    """All candidates: every source's first of every query, then the second ones, and so on."""
    for rank in range(max((array.shape[1] for array in candidates), default=0)):
        for array in candidates:
            if rank < array.shape[1]:
                yield from array[:, rank].tolist()
