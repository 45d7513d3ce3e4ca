"""From a collection to what training and its measurements need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nearfield.data.collection import Collection, Split
from nearfield.encoders.encoded import encoded
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.pair_scorer import PairScorer
from nearfield.encoders.text import TextEncoder
from nearfield.errors import CollectionError, ModelError
from nearfield.retrieval.bm25 import BM25, bm25
from nearfield.retrieval.first_stage import FirstStage
from nearfield.retrieval.queries import Queries
from nearfield.retrieval.retriever import Retriever
from nearfield.similarity.embeddings import Embeddings
from nearfield.train.data.leakage import (
    free_documents,
    judged_documents,
    named,
    relevance_by_position,
    same_texts,
    train_positives,
)
from nearfield.train.data.mining import hard_negatives, training_pairs_of
from nearfield.train.data.pool import Pool, pooled_documents
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.training_data import TokenSource, TrainingData
from nearfield.train.recipe import Recipe
from nearfield.types.arrays import Floats, Positions
from nearfield.types.progress import Progress
from nearfield.types.role import DOCUMENT, QUERY

MODEL = "model"  # the base model as a source of negatives; the other is BM25
POOL_DEPTH = 30
# documents of the pool for each dev query beside the judged ones: those that rank highest are the
# hardest
POOL_EACH = 4


@dataclass(frozen=True)
class Corpus:
    """What may be seen while tuning, encoded by the base model, `encoder`.

    `known`: positions of the documents that no test judgement names, whatever its grade, nor one of
    (nearly) the same text, and of train's own positives, ascending; `vectors`: one a known
    document, in that order. `free`: those of them that no held-out judgement names: what may be a
    negative. `same[d]` is one number for all documents of (nearly) the same text.
    """

    encoder: Encoder[Any]
    collection: Collection
    known: Positions
    free: Positions
    vectors: Embeddings
    same: Positions

    def candidates(
        self,
        queries: Embeddings,
        texts: Sequence[str],
        depth: int,
        within: Positions,
        sources: Sequence[str] = (BM25, MODEL),
        *,
        seed: int = 0,
    ) -> dict[str, Positions]:
        """The `depth` documents that each source ranks best for each query, among positions
        `within` in the collection; of the source random, so many that are drawn.
        """
        depth = min(depth, len(within))
        if not depth:
            return {source: np.empty((len(texts), 0), np.int64) for source in sources}
        documents = self.collection.document_texts[within]
        opened = {BM25: lambda: bm25(documents), MODEL: lambda: self._stage(within)}
        stages = [opened[source]() for source in sources if source in opened]
        retriever = Retriever(self.collection.document_ids[within], documents, stages)
        ranked = retriever.first(Queries.of_texts(texts, {MODEL: queries}), depth)
        found = {name: np.append(within, -1)[each.documents] for name, each in ranked.items()}
        drawn = np.random.default_rng(seed).integers(len(within), size=(len(texts), depth))
        return {source: found.get(source, within[drawn]) for source in sources}

    def _stage(self, within: Positions) -> FirstStage:
        vectors = self.vectors[np.searchsorted(self.known, within)]
        return FirstStage.exact(MODEL, self.encoder, vectors)


def open_corpus(encoder: Encoder[Any], collection: Collection, *, progress: Progress) -> Corpus:
    """Encode what may be seen with `encoder` as it stands."""
    same = same_texts(collection)
    seen = ~named(collection, "test", same)
    seen[sorted(train_positives(collection))] = True
    known = np.flatnonzero(seen)
    vectors = encoded(encoder, collection.document_texts[known], DOCUMENT, progress=progress)
    return Corpus(encoder, collection, known, free_documents(collection, same), vectors, same)


def dev_pool(
    encoder: Encoder[Any], corpus: Corpus, recipe: Recipe, split: Split | None = None
) -> Pool:
    """The queries of dev, or of the `split` that takes its place, and up to `recipe.pool`
    documents: the judged ones and those that the base model and BM25 take for them, some for each
    query.
    """
    split = split or corpus.collection.split("dev")
    queries = encoded(encoder, split.query_texts, QUERY)
    candidates = corpus.candidates(queries, split.query_texts, POOL_DEPTH, corpus.known)
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


def mine(
    encoder: Encoder[Any],
    corpus: Corpus,
    recipe: Recipe,
    *,
    gap: float = 0.0,
    judge: PairScorer | None = None,
) -> TrainingPairs:
    """The train split's pairs with their hard negatives, as positions in the split's queries and
    the collection's documents.

    No document that a dev or test judgement names, nor a copy of one, is a negative. The margin and
    the `gap` (see `hard_negatives`) are of the scores of the `judge`, where there is one. Raises
    CollectionError below two pairs, ModelError for a judge's score that is not finite.
    """
    split = corpus.collection.split("train")
    relevant = relevance_by_position(corpus.collection, split)
    query, positive = training_pairs_of(relevant)
    if len(query) < 2:
        raise CollectionError(
            f"{corpus.collection.name}: train has {len(query)} pairs to learn "
            "from; wanted at least 2, and better 500"
        )
    vectors = encoded(encoder, split.query_texts, QUERY)
    asked = recipe.negatives
    found = corpus.candidates(
        vectors, split.query_texts, asked.depth, corpus.free, asked.sources, seed=recipe.seed
    )
    ranked = {source: each[query, asked.skip :] for source, each in found.items()}
    near = partial(_similarities, vectors, corpus)
    if judge is not None:
        near = partial(_judged, judge, split.query_texts, corpus.collection.document_texts)
    twins = _twins(corpus.same)
    no_negative = possible_positives(corpus.collection, split)
    excluded = [
        {twin for document in no_negative[at] for twin in twins[int(corpus.same[document])]}
        for at in query.tolist()
    ]
    # asked for together, so that the whole price of a judge is known before anything is paid
    scores = near(query, np.concatenate([positive[:, None], *ranked.values()], axis=1))
    ends = np.cumsum([1, *(each.shape[1] for each in ranked.values())])[:-1]
    of_positive, *of_sources = np.split(scores, ends, axis=1)
    negatives = hard_negatives(
        ranked,
        dict(zip(ranked, of_sources, strict=True)),
        of_positive[:, 0],
        excluded,
        per_query=asked.per_query,
        margin=asked.margin,
        gap=gap,
    )
    return TrainingPairs(query, positive, negatives)


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
    own = split.own_documents.tolist()
    return [
        {*judged, *([at] if at >= 0 else [])}
        for judged, at in zip(relevance_by_position(collection, split), own, strict=True)
    ]


def _twins(same: Positions) -> dict[int, list[int]]:
    twins: dict[int, list[int]] = {}
    for document, number in enumerate(same.tolist()):
        twins.setdefault(number, []).append(document)
    return twins


def _similarities(
    queries: Embeddings, corpus: Corpus, query: Positions, documents: Positions
) -> Floats:
    """(n, k) the base model's similarities of query i and known documents[i, j]; -inf where that
    is -1.
    """
    near = np.full(documents.shape, -np.inf, np.float32)
    for row, (at, found) in enumerate(zip(query, documents, strict=True)):
        here = found >= 0
        places = np.searchsorted(corpus.known, found[here])
        near[row, here] = queries[at : at + 1].scores(corpus.vectors[places])[0]
    return near


def _judged(
    judge: PairScorer,
    queries: Sequence[str],
    texts: Sequence[str],
    query: Positions,
    documents: Positions,
) -> Floats:
    """(n, k) the judge's scores of query i and documents[i, j]; -inf where that is -1."""
    near = np.full(documents.shape, -np.inf, np.float32)
    here = documents >= 0
    asked = np.broadcast_to(query[:, None], documents.shape)
    scores = judge.score_at(queries, texts, (asked[here], documents[here]))
    if not np.isfinite(scores).all():
        raise ModelError(f"{judge.name}: a score is NaN or infinite; take another judge")
    near[here] = scores
    return near
