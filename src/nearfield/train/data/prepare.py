"""From a collection to what training and its measurements need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.data.collection import Collection, Split
from nearfield.data.stream import Stream
from nearfield.encoders.encoded import encoded
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.remote.afford import afford
from nearfield.encoders.text import TextEncoder
from nearfield.indexes.index import exact_index
from nearfield.retrieval.bm25 import BM25, bm25
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.open import open_embeddings
from nearfield.train.data.leakage import (
    free_documents,
    judged_documents,
    named,
    relevance_by_position,
    same_texts,
    train_positives,
)
from nearfield.train.data.pool import Pool, pooled_documents
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.training_data import TokenSource, TrainingData
from nearfield.train.recipe import Recipe
from nearfield.types.arrays import Positions
from nearfield.types.progress import Progress
from nearfield.types.role import DOCUMENT, QUERY
from nearfield.vectors.encode_to import encode_to
from nearfield.vectors.request import Request

MODEL, RANDOM = "model", "random"  # sources of negatives beside BM25
POOL_DEPTH = 30  # ranks of BM25 and of the base model that a pool is chosen from
# documents of the pool for each dev query beside the judged ones: those that rank highest are the
# hardest
POOL_EACH = 4

Ranks = Callable[[Positions], dict[str, Positions]]
"""Rows of queries to documents of each source: (rows, depth) positions, best first, -1 for none."""


@dataclass(frozen=True)
class Corpus:
    """What may be seen while tuning, encoded by the base model, `encoder`.

    `known`: ascending positions of train's own positives, and of the documents that no test
    judgement of any grade names, nor one of (nearly) the same text; `vectors`: one per known
    document, in that order. `free`: the known documents that no held-out judgement names, which may
    be negatives. `same[d]` is one number for all documents of (nearly) the same text.
    """

    encoder: Encoder[Any]
    collection: Collection
    known: Positions
    free: Positions
    vectors: Embeddings
    same: Positions

    def ranking(
        self,
        queries: Embeddings,
        texts: Sequence[str],
        depth: int,
        within: Positions,
        sources: Sequence[str] = (BM25, MODEL),
        *,
        seed: int = 0,
    ) -> Ranks:
        """A function of rows of the queries that gives the `depth` documents that each source ranks
        best, or draws, among positions `within` in the collection.
        """
        depth = min(depth, len(within))
        if not depth:
            return lambda rows: dict.fromkeys(sources, np.empty((len(rows), 0), np.int64))
        # what finds nothing more says -1, which takes the last place: -1 again
        placed = np.append(within, -1)
        known = np.append(self.known, -1)
        found: dict[str, Callable[[Positions], Positions]] = {}
        if BM25 in sources:
            words = bm25(self.collection.document_texts[within])

            def by_words(rows: Positions) -> Positions:
                asked = [texts[row] for row in rows.tolist()]
                return placed[words.find(asked, depth).documents]

            found[BM25] = by_words
        if MODEL in sources:
            index = exact_index(self.vectors)
            allowed = np.isin(self.known, within)
            where = None if allowed.all() else allowed

            def by_vectors(rows: Positions) -> Positions:
                return known[index.search(queries[rows], depth, where=where).documents]

            found[MODEL] = by_vectors
        if RANDOM in sources:
            # for all queries at once, so that the blocks they are asked in decide nothing
            drawn = np.random.default_rng(seed).integers(len(within), size=(len(texts), depth))
            found[RANDOM] = lambda rows: within[drawn[rows]]
        return lambda rows: {source: found[source](rows) for source in sources}


def open_corpus(
    encoder: Encoder[Any],
    collection: Collection,
    *,
    progress: Progress,
    folder: Path | None = None,
) -> Corpus:
    """Encode what may be seen with `encoder` as it stands; into the vector folder `folder`, where
    one is given, from where it is read, and where an interrupted call goes on.
    """
    same = same_texts(collection)
    # what test judges is not even looked at, but for what train itself learns from
    seen = ~named(collection, "test", same)
    seen[sorted(train_positives(collection))] = True
    known = np.flatnonzero(seen)
    texts = collection.document_texts[known]
    if folder is None:
        vectors = encoded(encoder, texts, DOCUMENT, progress=progress)
    else:
        vectors = encoded_in(folder, encoder, texts, progress=progress)
    return Corpus(encoder, collection, known, free_documents(collection, same), vectors, same)


def encoded_in(
    folder: Path, encoder: Encoder[Any], texts: Sequence[str], *, progress: Progress
) -> Embeddings:
    """The embeddings of documents, memory-mapped from the vector folder that is made of them."""
    if not folder.exists():
        afford([encoder], {DOCUMENT: texts})
        encode_to(encoder, Stream.of(texts), folder, Request(strict=True), progress=progress)
    return open_embeddings(folder)


def dev_pool(
    encoder: Encoder[Any], corpus: Corpus, recipe: Recipe, split: Split | None = None
) -> Pool:
    """The queries of dev, or of the `split` that takes its place, and up to `recipe.pool`
    documents: the judged ones and those that the base model and BM25 take for them, some for each
    query.
    """
    split = split or corpus.collection.split("dev")
    queries = encoded(encoder, split.query_texts, QUERY)
    ranks = corpus.ranking(queries, split.query_texts, POOL_DEPTH, corpus.known)
    candidates = ranks(np.arange(len(split.query_ids)))
    ids = corpus.collection.document_ids
    judged = judged_documents(relevance_by_position(corpus.collection, split))
    limit = min(recipe.pool, len(judged) + POOL_EACH * len(split.query_ids))
    chosen = pooled_documents(judged, list(candidates.values()), corpus.known.tolist(), ids, limit)
    return Pool.of(split, chosen, recipe.measure)


def pool_size(collection: Collection, recipe: Recipe) -> int:
    """About how many documents the dev pool has."""
    return min(
        recipe.pool,
        (POOL_EACH + 1) * len(collection.split("dev").query_ids),
        len(collection.documents),
    )


def training_data(
    encoder: TextEncoder,
    collection: Collection,
    pairs: TrainingPairs,
    recipe: Recipe,
    same: Positions,
) -> TrainingData:
    """The pairs, and where the texts that they name are; what a step needs of them is tokenised
    before it.
    """
    split = collection.split("train")
    limit = recipe.schedule.max_tokens
    relevant = possible_positives(collection, split)
    return TrainingData(
        TokenSource.of(encoder, split.query_texts, QUERY, limit),
        TokenSource.of(encoder, collection.document_texts, DOCUMENT, limit),
        pairs,
        same,
        relevant,
    )


def possible_positives(collection: Collection, split: Split) -> list[set[int]]:
    """For each query of the split what is not a negative: the documents judged relevant, and its
    own, which is the query itself.
    """
    possible = [set(judged) for judged in relevance_by_position(collection, split)]
    for documents, own in zip(possible, split.own_documents.tolist(), strict=True):
        if own >= 0:
            documents.add(own)
    return possible
