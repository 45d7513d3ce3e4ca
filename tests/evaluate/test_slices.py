"""Slices, where the order flips, and what is not judged: by definition and by simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nearfield.data.collection import Split
from nearfield.evaluate.analysis.holes import holes
from nearfield.evaluate.analysis.slices import slices
from nearfield.evaluate.analysis.traits import length, overlap, script
from nearfield.evaluate.compare import compare
from nearfield.evaluate.decide import decide
from nearfield.report.words import flips
from nearfield.types.comparison import Row
from nearfield.types.ranking import Ranking
from nearfield.types.verdict import Estimate


def rows_of(table: np.ndarray) -> list[Row]:
    """Rows, best first, with these values per item."""
    made = []
    for at, values in enumerate(table):
        mean = Estimate(*[float(values.mean())] * 3)
        made.append(Row(f"s{at}", f"s{at}", None, "", mean, {}, "", 0, None, None, tuple(values)))
    return sorted(made, key=lambda row: -row.estimate.mean)


def test_slices_are_thirds_of_numbers_and_each_word_by_a_loop() -> None:
    rng = np.random.default_rng(1)
    table, numbers = rng.random((3, 90)), rng.integers(1, 9, 90).astype(float)
    words = ["few" if at < 5 else "odd" if at % 2 else "even" for at in range(90)]
    rows = rows_of(table)
    found = slices(rows, {"n": numbers.tolist(), "word": words})
    assert [each.name for each in found if each.by == "word"] == ["even", "odd"]
    thirds = [each for each in found if each.by == "n"]
    assert sum(each.items for each in thirds) == 90
    for each in thirds:
        low, high = map(float, each.name.split(" to "))
        inside = [at for at, number in enumerate(numbers) if low <= number <= high]
        assert len(inside) == each.items
        for row in rows:
            values = [row.per_query[at] for at in inside]
            assert each.means[row.name] == pytest.approx(np.mean(values))
        assert list(each.means.values()) == sorted(each.means.values(), reverse=True)
        first = next(iter(each.means))
        assert (each.ahead is None) == (first == rows[0].name)
        if each.ahead:
            gap = each.means[first] - each.means[rows[0].name]
            assert each.ahead.mean == pytest.approx(gap)


def test_a_flip_is_seldom_shown_where_there_is_none_and_shown_where_there_is_one() -> None:
    rng = np.random.default_rng(0)
    kinds = [f"k{at % 4}" for at in range(120)]
    alarms = 0
    for _ in range(150):
        table = rng.random(120) + rng.normal(0, 0.2, (3, 120))
        alarms += bool(flips(slices(rows_of(table), {"kind": kinds})))
    assert alarms / 150 <= 0.05
    table[1] = table[0] + np.where(np.array(kinds) == "k2", -0.4, 0.25)
    (line,) = flips(slices(rows_of(table[:2]), {"kind": kinds}))
    assert line.startswith("The order flips where kind is k2 (30 items): s0 is ahead of the best")


def test_what_is_not_judged_bounds_the_measure() -> None:
    found = np.array([[0, 1, 2], [3, 0, -1]])
    ids = [f"d{at}" for at in range(4)]
    ranking = Ranking(["a", "b"], ids, found, -found.astype(np.float32))
    known = holes("x", ranking, {"a": {"d1": 1, "d3": 0}, "b": {"d3": 2}}, "P@3")
    assert (known.depth, known.share) == (3, 3 / 5)
    assert known.low == pytest.approx(np.mean([1 / 3, 1 / 3]))
    assert known.high == pytest.approx(np.mean([1, 2 / 3]))
    # without a cutoff all that was found is looked at
    known = holes("x", ranking, {"a": {"d1": 1, "d3": 0}, "b": {"d3": 2}}, "AP")
    assert (known.depth, known.share) == (3, 3 / 5)
    assert known.low == pytest.approx(np.mean([1 / 2, 1]))
    assert known.high == pytest.approx(1.0)


def test_traits() -> None:
    assert (length("How is bread baked?"), length("")) == (4, 0)
    texts = ("What is it?", "Что это", "これは何", "12")
    assert [*map(script, texts)] == ["Latin", "Cyrillic", "Hiragana", "none"]
    assert overlap("baked bread", ["Bread is good.", "baked"]) == 0.5
    assert overlap("", []) == 0


def test_a_comparison_has_them_and_a_later_decision_keeps_them(bag, split: Split) -> None:
    table = compare([bag], split, measures=["nDCG@10"])
    decision = table.decision
    assert {each.by for each in decision.slices} <= {"words", "shared words", "script", "group"}
    assert [each.row for each in decision.holes] == [row.name for row in table.rows]
    for each, row in zip(decision.holes, table.rows, strict=True):
        assert each.low == pytest.approx(row.estimate.mean)
        assert each.high >= each.low
    again = decide(table, margin=0.01)
    assert (again.slices, again.holes) == (decision.slices, decision.holes)
    bare = replace(table, rows=tuple(replace(row, per_query=()) for row in table.rows))
    assert slices(bare.rows, {"words": [1.0] * 80}) == ()
