"""Reciprocal-rank fusion against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.errors import InputError
from nearfield.retrieval.fuse import reciprocal_rank_fusion
from nearfield.types.ranking import Ranking

IDS = "abcdefghij"


def ranking(rows: list[list[int]], depth: int) -> Ranking:
    documents = np.array(
        [row[:depth] + [-1] * (depth - len(row)) for row in rows], np.int64
    ).reshape(len(rows), depth)
    scores = np.where(documents >= 0, -np.arange(depth), -np.inf).astype(np.float32)
    return Ranking([f"q{row}" for row in range(len(rows))], list(IDS), documents, scores)


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.permutations(range(10)), min_size=2, max_size=2), min_size=1, max_size=4),
    st.integers(1, 12),
    st.integers(1, 90),
)
def test_a_naive_sum_gives_the_same(orders: list[list[list[int]]], k: int, constant: int) -> None:
    rankings = [ranking([row[: 4 + place] for row in rows], 8) for place, rows in enumerate(orders)]
    fused = reciprocal_rank_fusion(rankings, k=k, constant=constant)
    for query in range(2):
        total: dict[int, float] = {}
        for one in rankings:
            for rank, document in enumerate(one.documents[query].tolist(), start=1):
                if document >= 0:
                    total[document] = total.get(document, 0.0) + 1 / (constant + rank)
        expected = sorted(total, key=lambda document: (-np.float32(total[document]), document))[:k]
        assert [name for name, _ in fused.of(query)] == [IDS[document] for document in expected]
        assert [score for _, score in fused.of(query)] == pytest.approx(
            [total[document] for document in expected]
        )


def test_a_query_that_one_side_does_not_know_keeps_the_other_side() -> None:
    fused = reciprocal_rank_fusion([ranking([[], []], 3), ranking([[2, 1], []], 3)], k=3)
    assert [name for name, _ in fused.of(0)] == ["c", "b"]
    assert fused.of(1) == []


def test_what_cannot_be_fused() -> None:
    with pytest.raises(InputError, match="no ranking"):
        reciprocal_rank_fusion([], k=3)
    other = ranking([[1]], 3)
    with pytest.raises(InputError, match="different queries or documents"):
        reciprocal_rank_fusion(
            [other, Ranking(other.query_ids, list(IDS[::-1]), other.documents, other.scores)], k=3
        )
