"""Hard negatives: documents that look relevant and are not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nearfield.types.arrays import Floats, Positions


def training_pairs_of(relevance: list[dict[int, int]]) -> tuple[Positions, Positions]:
    """(query, positive) positions of every judgement above 0, in order of query, then document."""
    rows = [
        (query, document)
        for query, judged in enumerate(relevance)
        for document, grade in sorted(judged.items())
        if grade > 0
    ]
    pairs = np.array(rows, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def hard_negatives(
    candidates: Mapping[str, Positions],
    similarities: Mapping[str, Floats],
    positive_similarity: Floats,
    excluded: list[set[int]],
    *,
    per_query: int,
    margin: float,
    gap: float = 0.0,
) -> Positions:
    """The hardest allowed candidates of each pair, taken in turn from each source: (n, per_query)
    int64, -1 where there are too few.

    `candidates[source]`: (n, depth) document positions, best first, -1 for none;
    `similarities[source]`: (n, depth), the model's similarity of each; `positive_similarity`: (n,),
    that of the pair's positive; `excluded[i]`: documents that are not negatives for pair i: its
    query's positives and their near-duplicates. A candidate above `margin` times the positive's
    similarity, or less than `gap` below it, is left out as a likely false negative.
    """
    sources = list(candidates)
    chosen = np.full((len(positive_similarity), per_query), -1, np.int64)
    for row in range(len(chosen)):
        positive = float(positive_similarity[row])
        ceiling = min(_ceiling(positive, margin), positive - gap)
        allowed = []
        for source in sources:
            pairs = zip(
                candidates[source][row].tolist(), similarities[source][row].tolist(), strict=True
            )
            allowed.append(
                [
                    document
                    for document, near in pairs
                    if document >= 0 and near <= ceiling and document not in excluded[row]
                ]
            )
        taken = _in_turn(allowed, per_query, start=row)
        chosen[row, : len(taken)] = taken
    return chosen


def _ceiling(positive: float, margin: float) -> float:
    """`margin` times the positive's similarity; where that is negative, as far below it as margin x
    |similarity| lies.
    """
    return positive - (1 - margin) * abs(positive)


def _in_turn(allowed: list[list[int]], count: int, *, start: int) -> list[int]:
    """`count` different documents, the best left of each source in turn, beginning with source
    `start` modulo their number.
    """
    queues = [list(reversed(source)) for source in allowed]
    taken: list[int] = []
    turn = start
    while len(taken) < count and any(queues):
        queue = queues[turn % len(queues)]
        turn += 1
        while queue:
            document = queue.pop()
            if document not in taken:
                taken.append(document)
                break
    return taken
