"""Measures against their definitions by naive loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nearfield.errors import InputError
from nearfield.evaluate.measures import MEASURES, measure_name, score_ranking
from nearfield.types.ranking import Ranking

RELEVANCE = {
    "first": {"a": 2, "b": 1, "c": 0, "z": 1},
    "second": {"c": 1},
    "nothing found": {"a": 1},
    "not in the ranking": {"b": 1},
}
RANKING = Ranking(
    ["second", "unjudged", "first", "nothing found"],
    list("abcdef"),
    np.array([[3, 2, 0, 1], [0, 1, 2, 3], [1, 3, 0, -1], [-1, -1, -1, -1]]),
    np.array([[4, 4, 4, 4], [4, 3, 2, 1], [9, 9, 8, -np.inf], [-np.inf] * 4], np.float32),
)


def naive(found: list[str], judged: dict[str, int], measure: str) -> float:
    name, _, k = measure.partition("@")
    top = found[: int(k)] if k else found
    hits = [judged.get(document, 0) > 0 for document in top]
    relevant = sum(grade > 0 for grade in judged.values())
    if name == "nDCG":
        ideal = sorted(judged.values(), reverse=True)[: int(k) if k else None]
        gain = sum(
            judged.get(document, 0) / math.log2(rank + 2) for rank, document in enumerate(top)
        )
        return gain / sum(grade / math.log2(rank + 2) for rank, grade in enumerate(ideal))
    if name == "R":
        return sum(hits) / relevant
    if name == "P":
        return sum(hits) / int(k)
    if name == "Success":
        return float(any(hits))
    if name == "RR":
        return next((1 / rank for rank, hit in enumerate(hits, 1) if hit), 0.0)
    return sum(sum(hits[:rank]) / rank for rank, hit in enumerate(hits, 1) if hit) / relevant


@pytest.mark.parametrize(
    "measure",
    [
        "nDCG@1",
        "nDCG@3",
        "nDCG",
        "R@1",
        "R@4",
        "P@2",
        "RR",
        "RR@1",
        "RR@2",
        "AP",
        "AP@2",
        "Success@1",
        "Success@2",
    ],
)
def test_naive_loops_give_the_same_for_each_query(measure: str) -> None:
    scores = score_ranking(RANKING, RELEVANCE, [measure])[measure]
    assert scores.query_ids == tuple(RELEVANCE)
    found = {
        name: [document for document, _ in RANKING.of(row)]
        for row, name in enumerate(RANKING.query_ids)
    }
    expected = [naive(found.get(query, []), judged, measure) for query, judged in RELEVANCE.items()]
    np.testing.assert_allclose(scores.values, expected, rtol=1e-12)
    assert scores.mean == pytest.approx(sum(expected) / len(expected))


def test_the_order_counts_and_not_the_scores() -> None:
    shuffled = Ranking(RANKING.query_ids, RANKING.document_ids, RANKING.documents, -RANKING.scores)
    for name, scores in score_ranking(RANKING, RELEVANCE, ["nDCG@3", "RR@3", "AP"]).items():
        np.testing.assert_array_equal(
            scores.values, score_ranking(shuffled, RELEVANCE, [name])[name].values
        )


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("ndcg@10", "nDCG@10"),
        ("recall@100", "R@100"),
        ("map", "AP"),
        ("MAP@100", "AP@100"),
        ("mrr@10", "RR@10"),
        ("MRR", "RR"),
        ("r@5", "R@5"),
        ("precision@1", "P@1"),
        ("success@5", "Success@5"),
        ("hit@5", "Success@5"),
        (" nDCG ", "nDCG"),
        *((name, name) for name in MEASURES),
    ],
)
def test_friendly_names(given: str, name: str) -> None:
    assert measure_name(given) == name


@pytest.mark.parametrize(
    "name", ["", "bleu", "ndcg@", "ndcg@0", "ndcg@ten", "recall", "success", "ndcg@10@5", "@10"]
)
def test_an_unknown_measure_lists_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match=r"nDCG@10|R@100|Success@10"):
        measure_name(name)


def test_a_misspelt_measure_is_guessed() -> None:
    with pytest.raises(InputError, match=r"Did you mean 'ndcg'\?"):
        measure_name("ndgc@10")


def test_a_ranking_that_was_cut_too_early() -> None:
    with pytest.raises(
        InputError, match="R@5 looks at 5 results per query and the ranking holds 4"
    ):
        score_ranking(RANKING, RELEVANCE, ["R@5"])


@pytest.mark.parametrize("name", ["R@0", "ndcg@-1", "recall@ten", "AP@"])
def test_a_wrong_cutoff_is_named(name: str) -> None:
    with pytest.raises(InputError, match=r"has the cutoff .*; wanted a whole number from 1, as in"):
        measure_name(name)
