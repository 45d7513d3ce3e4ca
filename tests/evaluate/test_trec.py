"""What ir-measures reads from the exported files is what we measured."""

from __future__ import annotations

import itertools
from pathlib import Path

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.errors import InputError
from nearfield.evaluate.measures import MEASURES, score_ranking
from nearfield.evaluate.trec import falling, write_qrels, write_run
from nearfield.types.ranking import Ranking

ALL = (*MEASURES, "nDCG", "AP", "RR", "RR@3", "P@1")


def from_files(run: Path, qrels: Path) -> dict[tuple[str, str], float]:
    measures = [ir_measures.parse_measure(name) for name in ALL]
    read = ir_measures.iter_calc(
        measures,
        list(ir_measures.read_trec_qrels(str(qrels))),
        list(ir_measures.read_trec_run(str(run))),
    )
    return {(str(metric.measure), metric.query_id): metric.value for metric in read}


def tied_ranking(
    seed: int, *, queries: int = 12, documents: int = 30
) -> tuple[Ranking, dict[str, dict[str, int]]]:
    """Few distinct scores, some of them one float32 apart, some huge or tiny; a query without
    results, one unjudged.
    """
    random = np.random.default_rng(seed)
    values = np.array(
        [1, np.nextafter(np.float32(1), np.float32(2)), 0, 1e-45, -1e30, 0.1, -0.5], np.float32
    )
    order = np.stack([random.permutation(documents) for _ in range(queries)])
    scores = -np.sort(-random.choice(values, (queries, documents)), axis=1)
    order[0], scores[0] = -1, -np.inf
    ids = [f"d{number}" for number in random.permutation(documents)]
    relevance = {
        f"q{row}": {ids[d]: int(random.integers(0, 4)) for d in random.permutation(documents)[:9]}
        for row in range(queries - 1)
    }
    ranking = Ranking([f"q{row}" for row in range(queries)], ids, order, scores.astype(np.float32))
    return ranking, {query: {**grades, ids[0]: 1} for query, grades in relevance.items()}


@pytest.mark.parametrize("seed", range(5))
def test_ties_and_neighbouring_floats_give_exactly_the_same_values(
    tmp_path: Path, seed: int
) -> None:
    ranking, relevance = tied_ranking(seed)
    write_run(ranking, tmp_path / "run", tag="test")
    write_qrels(relevance, tmp_path / "qrels")
    theirs = from_files(tmp_path / "run", tmp_path / "qrels")
    ours = score_ranking(ranking, relevance, ALL)
    mine = {
        (name, query): value
        for name, scores in ours.items()
        for query, value in zip(scores.query_ids, scores.values.tolist(), strict=True)
    }
    assert mine == theirs


def test_a_line_of_a_run(tmp_path: Path) -> None:
    write_run(
        Ranking(["q"], ["a", "b"], np.array([[1, 0]]), np.array([[0.1, 0.1]], np.float32)),
        tmp_path / "run",
        tag="mine",
    )
    assert (tmp_path / "run").read_text() == (
        "q Q0 b 1 0.100000001 mine\nq Q0 a 2 0.0999999940 mine\n"
    ).replace("940", "94")
    write_qrels({"q": {"a": 2, "b": 0}}, tmp_path / "qrels")
    assert (tmp_path / "qrels").read_text() == "q 0 a 2\nq 0 b 0\n"


@settings(max_examples=100)
@given(st.lists(st.floats(-(2.0**120), 2.0**120, width=32), min_size=1, max_size=20))
def test_scores_fall_strictly_and_survive_the_text(values: list[float]) -> None:
    scores = -np.sort(-np.array(values, np.float32))
    fallen = falling(scores)
    assert all(a > b for a, b in itertools.pairwise(fallen))
    assert [float(np.float32(f"{score:.9g}")) for score in fallen] == fallen


@pytest.mark.parametrize("name", ["", "two words", "tab\tbed"])
def test_ids_that_the_format_cannot_express(tmp_path: Path, name: str) -> None:
    for ranking in (
        Ranking([name], ["a"], np.zeros((1, 1), int), np.zeros((1, 1), np.float32)),
        Ranking(["q"], [name], np.zeros((1, 1), int), np.zeros((1, 1), np.float32)),
    ):
        with pytest.raises(InputError, match="holds a blank"):
            write_run(ranking, tmp_path / "run")
    with pytest.raises(InputError, match="holds a blank"):
        write_qrels({"q": {name: 1}}, tmp_path / "qrels")
    assert list(tmp_path.iterdir()) == []
