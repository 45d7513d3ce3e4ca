"""One model's embeddings of one split, made once; every dimension and storage type is cut from
them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nearfield.data.collection import Split
from nearfield.encoders.encoded import encoded, seconds_alone
from nearfield.encoders.encoder import Encoder
from nearfield.indexes.exact import Exact
from nearfield.indexes.index import Index, exact_index
from nearfield.indexes.rescored import Rescored
from nearfield.retrieval.queries import Queries
from nearfield.retrieval.retrieve import retrieve
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Doubles
from nearfield.types.progress import Progress, silent
from nearfield.types.ranking import Ranking
from nearfield.types.role import DOCUMENT, QUERY

TIMED = 50  # queries that a latency's median is taken over


@dataclass(frozen=True)
class Cut:
    """What is searched: the first `dim` dimensions, documents stored as `storage`, scored by
    `similarity`.

    `dim` is None for what is not cut: embeddings that are not dense. With `rescore`, a storage
    type, what is found is scored again by the whole vectors, stored so.
    """

    dim: int | None
    storage: str
    similarity: str
    rescore: str = ""

    @property
    def stored_as(self) -> str:
        """The storage types in words, as `binary+int8` where int8 vectors score again."""
        if self.rescore:
            return f"{self.storage}+{self.rescore}"
        return self.storage

    def of(self, embeddings: Embeddings) -> Embeddings:
        """The embeddings at this cut, stored as they were."""
        if self.dim is None:
            return embeddings
        return self.whole(embeddings).truncate(self.dim)

    def whole(self, embeddings: Embeddings) -> Dense:
        """All dimensions of the embeddings, compared as at this cut."""
        return replace(embeddings.as_dense("a cut"), similarity=self.similarity)


@dataclass(frozen=True)
class EncodePass:
    """`documents` and `queries` of a split, float32, whole, embeddings of the model's kind.

    `query_seconds` is what each timed query took encoded alone, NaN where that is not known.
    """

    split: Split
    documents: Embeddings
    queries: Embeddings
    documents_per_second: float | None
    query_seconds: Doubles

    @classmethod
    def of(cls, encoder: Encoder[Any], split: Split, *, progress: Progress = silent) -> EncodePass:
        """Encode the split's documents and queries once, and up to 50 of its queries alone. What
        was encoded, or timed on this machine, before is not again.
        """
        documents, speed = encode_documents(encoder, split, progress=progress)
        queries, alone = encode_queries(encoder, split)
        return cls(split, documents, queries, speed, alone)

    def heads(self) -> dict[str, EncodePass]:
        """This pass under "", and of fused embeddings that of each part alone, by its name."""
        heads = {"": self}
        for name, part in self.documents.by_part.items():
            heads[name] = replace(self, documents=part, queries=self.queries.by_part[name])
        return heads

    def at(self, cut: Cut) -> EncodeCut:
        """What is searched at `cut`."""
        documents = cut.of(self.documents).quantise(cut.storage)
        if not cut.rescore:
            return EncodeCut(self, cut.of(self.queries), exact_index(documents), (documents,))
        # found by the short vectors, so that few are scored by the whole ones
        whole = cut.whole(self.documents).quantise(cut.rescore)
        index = Rescored(Exact.of(documents), whole)
        return EncodeCut(self, cut.whole(self.queries), index, (documents, whole))


@dataclass(frozen=True)
class EncodeCut:
    """An encode pass at one cut: queries, kept float32, and the index of the documents, which are
    kept as `stored`.
    """

    made: EncodePass
    queries: Embeddings
    index: Index[Any]
    stored: tuple[Embeddings, ...]

    @property
    def bytes_per_document(self) -> float:
        """Those of all that is stored."""
        return sum(each.bytes_per_item for each in self.stored)

    def ranking(self, depth: int) -> Ranking:
        """The `depth` best documents for each query, by exact search."""
        split = self.made.split
        ids = split.collection.document_ids
        return retrieve(self.queries, self.index, Queries.of(split), ids, k=depth)

    def query_milliseconds(self, depth: int) -> float | None:
        """Median time of a query encoded and searched alone; None where no query was timed before a
        vendor's answer was kept.
        """
        asked = self.queries
        # the same rows as `made.query_seconds`, so that the two add up query by query
        search = seconds_each(
            lambda row: self.index.search(asked[row : row + 1], depth), len(asked)
        )
        known = self.made.query_seconds
        waits = (known + search)[~np.isnan(known)]
        if not len(waits):
            return None
        return 1000 * float(np.median(waits))


def encode_documents(
    encoder: Encoder[Any], split: Split, *, progress: Progress = silent
) -> tuple[Embeddings, float | None]:
    """The embeddings of the split's documents, and how many were made in a second; None where that
    is not known of documents that were made before.
    """
    documents = encoded(encoder, split.collection.document_texts, DOCUMENT, progress=progress)
    return documents, speed_of([documents])


def speed_of(parts: Sequence[Embeddings]) -> float | None:
    """How many items of all `encoded` parts were made in a second; None where that is not known of
    one.
    """
    seconds = [part.usage.seconds for part in parts]
    # 0 where a time is not known, and a part of the time would be taken for all of it
    if all(seconds):
        return sum(map(len, parts)) / sum(seconds)
    return None


def encode_queries(encoder: Encoder[Any], split: Split) -> tuple[Embeddings, Doubles]:
    """The embeddings of the split's queries, and the seconds that up to 50 of them took, each
    alone.
    """
    texts = split.query_texts
    # first, as a vendor answers a text once
    alone = seconds_alone(encoder, [texts[row] for row in timed(len(texts))], QUERY)
    return encoded(encoder, texts, QUERY), alone


def timed(n: int) -> list[int]:
    """Up to 50 rows spread over n."""
    rows: list[int] = np.unique(np.linspace(0, n - 1, min(n, TIMED)).astype(int)).tolist()
    return rows


def seconds_each(call: Callable[[int], object], n: int) -> Doubles:
    """Seconds of `call(row)` for up to 50 rows spread over n, after one call that is not timed."""
    rows = timed(n)
    call(rows[0])
    seconds = []
    for row in rows:
        started = time.perf_counter()
        call(row)
        seconds.append(time.perf_counter() - started)
    return np.array(seconds)
