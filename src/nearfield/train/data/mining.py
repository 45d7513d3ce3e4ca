"""Hard negatives: documents that look relevant and are not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nearfield.encoders.encoded import encoded
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.pair_scorer import PairScorer
from nearfield.errors import CollectionError, ModelError
from nearfield.similarity.embeddings import Embeddings
from nearfield.train.data.leakage import relevance_by_position
from nearfield.train.data.prepare import Corpus, Ranks, possible_positives
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.recipe import Negatives, Recipe
from nearfield.types.arrays import Floats, Positions
from nearfield.types.role import QUERY


def training_pairs_of(relevance: list[dict[int, int]]) -> tuple[Positions, Positions]:
    """(query, positive) positions of every judgement above 0, in order of query, then document."""
    queries: list[int] = []
    positives: list[int] = []
    for query, judged in enumerate(relevance):
        own = sorted(document for document, grade in judged.items() if grade > 0)
        positives += own
        queries += [query] * len(own)
    return np.array(queries, np.int64), np.array(positives, np.int64)


def hard_negatives(
    candidates: Mapping[str, Positions],
    similarities: Mapping[str, Floats],
    positive_similarity: Floats,
    excluded: list[set[int]],
    *,
    asked: Negatives,
    gap: float = 0.0,
    first: int = 0,
) -> Positions:
    """The hardest allowed candidates of each pair, taken in turn from each source: (n, per_query)
    int64, -1 where there are too few.

    `candidates[source]`: (n, depth) document positions, best first, -1 for none;
    `similarities[source]`: (n, depth), the model's similarity of each; `positive_similarity`: (n,),
    that of the pair's positive; `excluded[i]`: documents that are not negatives for pair i: its
    query's positives and their near-duplicates. A candidate above `asked.margin` times the
    positive's similarity, or less than `gap` below it, is left out as a likely false negative.
    `first` is the number of the first pair.
    """
    sources = list(candidates)
    chosen = np.full((len(positive_similarity), asked.per_query), -1, np.int64)
    for row in range(len(chosen)):
        positive = float(positive_similarity[row])
        # the margin's share of the positive's similarity; of a negative one, as far below it
        share = positive - (1 - asked.margin) * abs(positive)
        ceiling = min(share, positive - gap)
        allowed = []
        for source in sources:
            documents = candidates[source][row].tolist()
            near = similarities[source][row].tolist()
            left = []
            for document, similarity in zip(documents, near, strict=True):
                if document >= 0 and similarity <= ceiling and document not in excluded[row]:
                    left.append(document)
            allowed.append(left)
        # each pair begins with another source, so that with one negative all have their share
        taken = _in_turn(allowed, asked.per_query, start=first + row)
        chosen[row, : len(taken)] = taken
    return chosen


def _in_turn(allowed: list[list[int]], count: int, *, start: int) -> list[int]:
    """`count` different documents, the best left of each source in turn, beginning with source
    `start` modulo their number.
    """
    queues = [list(reversed(source)) for source in allowed]  # the best is last, and popped first
    taken: list[int] = []
    turn = start
    while len(taken) < count and any(queues):
        queue = queues[turn % len(queues)]
        turn += 1
        while queue:
            document = queue.pop()
            if document not in taken:  # another source has found it, too
                taken.append(document)
                break
    return taken


ROWS = 4096  # pairs that are mined together
Keep = Callable[[int, Callable[[], Positions]], Positions]
"""The negatives of the pairs of one block, by its number: those that are kept, or what makes
them.
"""


def make(number: int, found: Callable[[], Positions]) -> Positions:
    """Nothing is kept."""
    return found()


@dataclass(frozen=True)
class Miner:
    """Finds the negatives of pairs: `query` and `positive` are their positions in the split's
    queries and in the corpus, `ranks` gives each query's candidates, `near` (n, k) scores of
    queries with documents, and `relevant` what is no negative of each query.
    """

    corpus: Corpus
    asked: Negatives
    query: Positions
    positive: Positions
    ranks: Ranks
    near: Callable[[Positions, Positions], Floats]
    relevant: Sequence[set[int]]
    gap: float

    def negatives(self, rows: slice) -> Positions:
        """(rows, per_query) positions of the negatives of these pairs, -1 where there are too
        few.
        """
        query = self.query[rows]
        positive = self.positive[rows]
        # a query with several positives is searched with once
        distinct, at = np.unique(query, return_inverse=True)
        found = self.ranks(distinct)
        ranked = {source: places[at, self.asked.skip :] for source, places in found.items()}
        # asked for together, so that the whole price of a judge is known before anything is paid
        asked = [positive[:, None], *ranked.values()]
        scores = self.near(query, np.concatenate(asked, axis=1))
        ends = np.cumsum([part.shape[1] for part in asked])[:-1]
        of_positive, *of_sources = np.split(scores, ends, axis=1)
        return hard_negatives(
            ranked,
            dict(zip(ranked, of_sources, strict=True)),
            of_positive[:, 0],
            self._excluded(query),
            asked=self.asked,
            gap=self.gap,
            first=rows.start,
        )

    def _excluded(self, query: Positions) -> list[set[int]]:
        """For each query what is no negative, with the documents of nearly the same texts."""
        same = self.corpus.same
        judged = [self.relevant[at] for at in query.tolist()]
        labels = same[sorted(set[int]().union(*judged))]
        twins = defaultdict[int, set[int]](set)
        for document in np.flatnonzero(np.isin(same, labels)).tolist():
            twins[int(same[document])].add(document)
        excluded = []
        for documents in judged:
            labelled = [twins[int(same[document])] for document in documents]
            excluded.append(set[int]().union(*labelled))
        return excluded


def mine(
    encoder: Encoder[Any],
    corpus: Corpus,
    recipe: Recipe,
    *,
    gap: float = 0.0,
    judge: PairScorer | None = None,
    keep: Keep = make,
) -> TrainingPairs:
    """The train split's pairs with their hard negatives, as positions in the split's queries and
    the collection's documents.

    No document that a dev or test judgement names, nor a copy of one, is a negative. The margin and
    the `gap` (see `hard_negatives`) are of the scores of the `judge`, where there is one. Pairs
    are mined in blocks, of which each goes through `keep`; all are one where a judge is asked.
    Raises CollectionError below two pairs, ModelError for a judge's score that is not finite.
    """
    split = corpus.collection.split("train")
    relevant = relevance_by_position(corpus.collection, split)
    query, positive = training_pairs_of(relevant)
    if len(query) < 2:
        raise CollectionError(
            f"{corpus.collection.name}: train has {len(query)} pairs to learn "
            "from; wanted at least 2, and better 500"
        )
    asked = recipe.negatives
    texts = split.query_texts
    vectors = encoded(encoder, texts, QUERY)
    ranks = corpus.ranking(
        vectors, texts, asked.depth, corpus.free, asked.sources, seed=recipe.seed
    )
    near = partial(_similarities, vectors, corpus)
    if judge is not None:
        near = partial(_judged, judge, texts, corpus.collection.document_texts)
    no_negative = possible_positives(corpus.collection, split)
    miner = Miner(corpus, asked, query, positive, ranks, near, no_negative, gap)
    # a judge is asked for everything at once (see Miner.negatives)
    size = ROWS if judge is None else len(query)
    found = []
    for number, start in enumerate(range(0, len(query), size)):
        rows = slice(start, start + size)
        found.append(keep(number, partial(miner.negatives, rows)))
    return TrainingPairs(query, positive, np.concatenate(found))


def _similarities(
    queries: Embeddings, corpus: Corpus, query: Positions, documents: Positions
) -> Floats:
    """(n, k) the base model's similarities of query i and known documents[i, j]; -inf where that
    is -1.
    """
    near = np.full(documents.shape, -np.inf, np.float32)
    # row by row: of all queries with all candidates of all, most would not be looked at
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
