"""A ranking's best documents, ordered again by a judge that reads them with the query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nearfield.encoders.pair_scorer import PairScorer
from nearfield.errors import InputError
from nearfield.types.progress import Progress, silent
from nearfield.types.ranking import Ranking

DEPTH = 100  # documents per query that a judge reads when nothing else is asked for


def rerank(
    ranking: Ranking,
    scorer: PairScorer,
    *,
    query_texts: Sequence[str],
    document_texts: Sequence[str],
    depth: int = DEPTH,
    progress: Progress = silent,
) -> Ranking:
    """The same results, each query's first `depth` ordered by `scorer`; those behind them stay
    behind, in their order.

    `query_texts` and `document_texts` are those of the ranking's `query_ids` and `document_ids`.
    Equal scores keep the ranking's order. A document that was not read scores 1 below the one
    before it, which says nothing but its place. Raises InputError for a depth below 1 or texts that
    are not one for each id.
    """
    if depth < 1:
        raise InputError(f"depth is {depth}; must be at least 1")
    for what, texts, ids in (
        ("query", query_texts, ranking.query_ids),
        ("document", document_texts, ranking.document_ids),
    ):
        if len(texts) != len(ids):
            raise InputError(
                f"there are {len(texts)} {what} texts and {len(ids)} {what} ids; "
                "give those that the ranking was made of"
            )
    head = ranking.documents[:, :depth]
    read = head >= 0
    pairs = np.nonzero(read)[0], head[read]
    given = np.full(head.shape, -np.inf, np.float32)
    given[read] = scorer.score_at(query_texts, document_texts, pairs, progress=progress)
    # places without a document, at -inf, stay last
    order = np.argsort(-given, axis=1, kind="stable")
    documents = ranking.documents.copy()
    scores = ranking.scores.copy()
    documents[:, :depth] = np.take_along_axis(head, order, 1)
    scores[:, :depth] = np.take_along_axis(given, order, 1)
    behind = documents[:, depth:] >= 0
    if behind.size:
        # (n, 1) the lowest score that the judge gave, from which those behind count down
        # a query without results has none behind the depth either: what it takes here is not used
        last = np.maximum(read.sum(1) - 1, 0)
        lowest = np.take_along_axis(scores, last[:, None], 1)
        down = lowest - 1 - np.arange(behind.shape[1], dtype=np.float32)
        scores[:, depth:] = np.where(behind, down, -np.inf)
    return replace(ranking, documents=documents, scores=scores)
