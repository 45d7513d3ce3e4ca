"""The table of systems: the same whatever order they came in, and each number as its own function
gives it.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from nearfield.data.collection import Split
from nearfield.encoders.encoder import Encoder
from nearfield.errors import InputError, NearfieldWarning
from nearfield.evaluate.compare import compare
from nearfield.evaluate.measures import score_ranking
from nearfield.evaluate.systems import System, bm25_system, fused_system, model_systems
from nearfield.statistics.bootstrap import mean_interval
from nearfield.statistics.holm import holm
from nearfield.statistics.randomisation import paired_test
from nearfield.types.numbers import signed
from nearfield.types.ranking import Ranking


@pytest.fixture
def systems(bag: Encoder, split: Split) -> list[System]:
    dense = model_systems(bag, split, name="bag", dims=(64, 32), storages=("float32", "binary"))
    lexical = bm25_system(split)
    return [*dense, lexical, fused_system(dense[0], lexical)]


def noisy(split: Split, name: str, share: float, seed: int) -> System:
    """Each query's relevant documents first, or, in `share` of the queries, an order by chance."""
    random = np.random.default_rng(seed)
    ids = list(split.collection.document_ids)
    rows = []
    for query in split.query_ids:
        best = [ids.index(document) for document, grade in split.relevance[query].items() if grade]
        order = random.permutation(len(ids)).tolist()
        rows.append(
            (
                order
                if random.random() < share
                else best + [row for row in order if row not in best]
            )[:100]
        )
    ranking = Ranking(
        split.query_ids,
        ids,
        np.array(rows),
        np.tile(-np.arange(100, dtype=np.float32), (len(rows), 1)),
    )
    return System(name, name, None, "", ranking, 1.0, None, None)


def test_each_number_is_what_its_own_function_gives(systems: list[System], split: Split) -> None:
    table = compare(systems, split)
    values = {
        system.name: score_ranking(system.ranking, split.relevance, ["nDCG@10", "R@100"])
        for system in systems
    }
    for row in table.rows:
        expected = values[row.name]["nDCG@10"]
        assert row.per_query == tuple(expected.values)
        assert row.means["R@100"] == values[row.name]["R@100"].mean
        interval = mean_interval(expected.values, bounds=(0.0, 1.0))
        assert (row.estimate.mean, row.estimate.low, row.estimate.high) == pytest.approx(
            (interval.mean, interval.low, interval.high)
        )
    for pair in table.pairs:
        a, b = (values[name]["nDCG@10"].values for name in (pair.a, pair.b))
        assert pair.p == paired_test(a, b)
        assert pair.difference.mean == pytest.approx((a - b).mean())
        assert pair.difference.mean >= 0
    assert [pair.p_holm for pair in table.pairs] == holm([pair.p for pair in table.pairs]).tolist()
    assert [row.estimate.mean for row in table.rows] == sorted(
        (row.estimate.mean for row in table.rows), reverse=True
    )
    assert table.query_ids == split.query_ids
    assert table.documents == 200


def test_the_order_of_the_systems_changes_nothing(systems: list[System], split: Split) -> None:
    table = compare(systems, split)
    random = np.random.default_rng(0)
    for _ in range(3):
        assert (
            compare([systems[place] for place in random.permutation(len(systems))], split) == table
        )


def test_rows_share_a_letter_iff_they_are_not_told_apart(split: Split) -> None:
    table = compare(
        [
            noisy(split, f"{share:.0%} {seed}", share, seed)
            for share in (0.0, 0.3, 0.35, 0.9)
            for seed in (1, 2)
        ],
        split,
    )
    mark = {row.name: set(row.letters) for row in table.rows}
    for pair in table.pairs:
        assert bool(mark[pair.a] & mark[pair.b]) == (pair.p_holm >= 0.05)
        if pair.p_holm >= 0.05:
            assert pair.queries_needed is None or pair.queries_needed > len(split.query_ids)
    assert len({row.letters for row in table.rows}) > 1


def test_what_a_departure_from_the_contract_costs_is_a_note(bag: Encoder, split: Split) -> None:
    with pytest.warns(NearfieldWarning):
        rows = model_systems(bag, split, name="bag", dims=(64, 4), similarity="euclidean")
    table = compare(rows, split)
    whole = {row.name: row.estimate.mean for row in table.rows}
    cost = whole["bag 4 float32"] - whole["bag 64 float32"]
    assert any(
        "bag 4 float32 is cut to 4 dimensions, which bag was not trained for: nDCG@10 "
        f"{signed(cost)} [" in note
        for note in table.notes
    )
    assert any(
        "bag 64 float32 is scored by euclidean: nDCG@10 .000 [.000, .000], uncorrected p = 1.000, "
        "against" in note
        for note in table.notes
    )


def test_a_dims_cost_is_said_once_for_all_its_storage_types(bag: Encoder, split: Split) -> None:
    with pytest.warns(NearfieldWarning):
        rows = model_systems(
            bag, split, name="bag", dims=(64, 4, 3), storages=("binary", "int8", "float32")
        )
    notes = compare(rows, split).notes
    assert sorted(note.split(" is cut")[0] for note in notes) == ["bag 3 float32", "bag 4 float32"]


def test_a_difference_of_nothing_would_be_shown_by_no_number_of_queries(split: Split) -> None:
    lexical = bm25_system(split)
    (pair,) = compare([lexical, replace(lexical, name="again")], split).pairs
    assert pair.queries_needed is None


def test_one_system_and_another_measure(split: Split) -> None:
    table = compare([bm25_system(split)], split, measure="mrr@10", measures=("recall@5", "map"))
    assert table.measure == "RR@10"
    assert list(table.rows[0].means) == ["RR@10", "R@5", "AP"]
    assert table.pairs == ()
    assert table.rows[0].letters == "a"


def test_24_rows_take_seconds(split: Split) -> None:
    systems = [noisy(split, str(seed), 0.1 + seed / 40, seed) for seed in range(24)]
    started = time.process_time()
    assert len(compare(systems, split).pairs) == 276
    assert time.process_time() - started < 12


def test_bad_input(split: Split) -> None:
    lexical = bm25_system(split)
    with pytest.raises(InputError, match="nothing to compare"):
        compare([], split)
    with pytest.raises(InputError, match="two systems are called 'bm25'"):
        compare([lexical, replace(lexical)], split)
    with pytest.raises(InputError, match="no measure 'bleu'"):
        compare([lexical], split, measure="bleu")
    with pytest.raises(InputError, match="R@150 looks at 150"):
        compare([lexical], split, measures=["R@150"])


def test_relevant_documents_that_are_not_there_are_said(split: Split) -> None:
    query = split.query_ids[0]
    lacking = replace(
        split,
        relevance={
            **split.relevance,
            query: {**split.relevance[query], "gone": 1, "gone and not relevant": 0},
        },
    )
    total = sum(grade > 0 for grades in lacking.relevance.values() for grade in grades.values())
    notes = compare([bm25_system(split)], split).notes
    assert notes == ()
    expected = (
        f"1 of {total:,} judgements of a relevant document are of one that is not in the collection, "
        "which no system can find; see nearfield data check"
    )
    assert compare([bm25_system(split)], lacking).notes[0] == expected
