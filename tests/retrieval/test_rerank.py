"""A ranking ordered again by a judge, against a naive sort."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.encoders.pair_scorer import PairScorer, Positions, Scores
from nearfield.errors import InputError
from nearfield.retrieval.rerank import rerank
from nearfield.types.progress import Progress, silent
from nearfield.types.ranking import Ranking

QUERIES, DOCUMENTS = ["one", "three"], [f"{number} {number}" for number in range(8)]


class Judge(PairScorer):
    """Scores a document by its number modulo 3, for the query `three` the other way round; keeps
    what it was asked.
    """

    name = "judge"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    @property
    def identity(self) -> dict[str, str]:
        return {"files": "none"}

    def score_at(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: tuple[Positions, Positions],
        *,
        progress: Progress = silent,
    ) -> Scores:
        texts = [
            (queries[int(query)], documents[int(document)])
            for query, document in zip(*pairs, strict=True)
        ]
        self.asked += texts
        return np.array(
            [
                (-1 if query == "three" else 1) * (int(document.split()[0]) % 3)
                for query, document in texts
            ],
            np.float32,
        )


def ranking(rows: list[list[int]], width: int) -> Ranking:
    documents = np.array([row + [-1] * (width - len(row)) for row in rows], np.int64)
    scores = np.where(documents >= 0, -np.arange(width), -np.inf).astype(np.float32)
    return Ranking(["q0", "q1"], [f"d{at}" for at in range(8)], documents, scores)


@settings(max_examples=80)
@given(
    st.lists(st.permutations(range(8)), min_size=2, max_size=2),
    st.lists(st.integers(0, 8), min_size=2, max_size=2),
    st.integers(1, 10),
)
def test_a_naive_sort_gives_the_same(orders: list[list[int]], found: list[int], depth: int) -> None:
    rows = [order[:count] for order, count in zip(orders, found, strict=True)]
    judge = Judge()
    ours = rerank(
        ranking(rows, 8), judge, query_texts=QUERIES, document_texts=DOCUMENTS, depth=depth
    )
    for at, row in enumerate(rows):
        sign = -1 if at else 1
        expected = sorted(row[:depth], key=lambda document: -sign * (document % 3)) + row[depth:]
        assert ours.documents[at].tolist() == expected + [-1] * (8 - len(row))
        assert ours.scores[at, : min(depth, len(row))].tolist() == [
            sign * (document % 3) for document in expected[:depth]
        ]
        assert (np.diff(ours.scores[at, : len(row)]) <= 0).all()
        assert (np.diff(ours.scores[at, depth : len(row)]) < 0).all()
        assert np.isneginf(ours.scores[at, len(row) :]).all()
    assert len(judge.asked) == sum(min(depth, len(row)) for row in rows)


def test_what_cannot_be_ordered_is_refused() -> None:
    with pytest.raises(InputError, match="depth is 0; must be at least 1"):
        rerank(
            ranking([[1], [2]], 3), Judge(), query_texts=QUERIES, document_texts=DOCUMENTS, depth=0
        )
    with pytest.raises(InputError, match="1 query texts and 2 query ids"):
        rerank(ranking([[1], [2]], 3), Judge(), query_texts=["one"], document_texts=DOCUMENTS)
