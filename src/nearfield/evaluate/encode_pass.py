"""One model's embeddings of one split, made once; every dimension and storage type is cut from
them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.data.collection import Split
from nearfield.encoders.encoded import encoded, seconds_alone
from nearfield.encoders.encoder import Encoder
from nearfield.indexes.index import exact_index
from nearfield.retrieval.queries import Queries
from nearfield.retrieval.retrieve import retrieve
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.progress import Progress, silent
from nearfield.types.ranking import Ranking
from nearfield.types.role import DOCUMENT, QUERY

TIMED = 50  # queries that a latency's median is taken over


@dataclass(frozen=True)
class Cut:
    """What is searched: the first `dim` dimensions, documents stored as `storage`, scored by
    `similarity`.

    `dim` is None for what is not cut: embeddings that are not dense.
    """

    dim: int | None
    storage: str
    similarity: str

    def of(self, embeddings: Embeddings) -> Embeddings:
        """The embeddings at this cut, stored as they were."""
        if self.dim is None:
            return embeddings
        whole = embeddings.as_dense("a cut")
        return replace(whole, similarity=self.similarity).truncate(self.dim)


@dataclass(frozen=True)
class EncodePass:
    """`documents` and `queries` of a split, float32, whole, embeddings of the model's kind.

    `query_seconds` is what each timed query took encoded alone, NaN where that is not known.
    """

    split: Split
    documents: Embeddings
    queries: Embeddings
    documents_per_second: float | None
    query_seconds: npt.NDArray[np.float64]

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
        asked = self.queries.by_part
        return {"": self} | {
            name: replace(self, documents=part, queries=asked[name])
            for name, part in self.documents.by_part.items()
        }

    def vectors(self, cut: Cut) -> tuple[Embeddings, Embeddings]:
        """Queries, kept float32, and documents at `cut`."""
        queries, documents = (cut.of(embeddings) for embeddings in (self.queries, self.documents))
        return queries, documents.quantise(cut.storage)

    def ranking(self, cut: Cut, depth: int) -> Ranking:
        """The `depth` best documents for each query at `cut`, by exact search."""
        queries, documents = self.vectors(cut)
        ids = self.split.collection.document_ids
        return retrieve(queries, exact_index(documents), Queries.of(self.split), ids, k=depth)

    def query_milliseconds(self, cut: Cut, depth: int) -> float | None:
        """Median time of a query encoded and searched alone at `cut`; None where no query was timed
        before a vendor's answer was kept.
        """
        queries, documents = self.vectors(cut)
        index = exact_index(documents)
        search = seconds_each(lambda row: index.search(queries[row : row + 1], depth), len(queries))
        waits = (self.query_seconds + search)[~np.isnan(self.query_seconds)]
        return 1000 * float(np.median(waits)) if len(waits) else None


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
    return sum(map(len, parts)) / sum(seconds) if all(seconds) else None


def encode_queries(
    encoder: Encoder[Any], split: Split
) -> tuple[Embeddings, npt.NDArray[np.float64]]:
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


def seconds_each(call: Callable[[int], object], n: int) -> npt.NDArray[np.float64]:
    """Seconds of `call(row)` for up to 50 rows spread over n, after one call that is not timed."""
    rows = timed(n)
    call(rows[0])
    seconds = []
    for row in rows:
        started = time.perf_counter()
        call(row)
        seconds.append(time.perf_counter() - started)
    return np.array(seconds)
