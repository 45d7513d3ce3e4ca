"""Quality against cost: the grid is cut from one encode pass, and the frontier is a search's."""

from __future__ import annotations

import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.data.collection import Split
from nearfield.data.pairs import Pairs
from nearfield.errors import ContractError, InputError, MatryoshkaWarning
from nearfield.evaluate.analysis.trade_off import SHARES, STORED, trade_off
from nearfield.evaluate.compare import compare
from nearfield.evaluate.systems import model_systems
from nearfield.evaluate.task import Options
from nearfield.statistics.pairwise import MOST
from nearfield.types.comparison import Row
from nearfield.types.verdict import Estimate

GRID = Options(dims=SHARES, storages=STORED, bm25=False)


def test_one_encode_pass_gives_every_row_and_few_tests(bag, split: Split) -> None:
    with pytest.warns(MatryoshkaWarning, match="48, 24, 16, 12, 8, 5 dimensions and was trained"):
        table = compare([bag], split, options=GRID)
    assert len(table.rows) == 70 > MOST
    whole = [call for call in bag.calls if call[1] > 1]
    assert whole == [("document", 200), ("query", 80)]
    assert {(pair.a, pair.b) for pair in table.pairs} == {
        (table.rows[0].name, row.name) for row in table.rows[1:]
    }
    for pair, row in zip(table.pairs, table.rows[1:], strict=True):
        assert pair.p_holm == min(1.0, pair.p * 69)
        assert row.letters == ("" if pair.p_holm < 0.05 else "a")
    assert any("tested against the best alone" in note for note in table.notes)
    by_name = {row.name: row for row in table.rows}
    found = by_name["bag 16 binary+int8"]
    assert found.bytes_per_document == 2 + 64
    assert found.estimate.mean > by_name["bag 16 binary"].estimate.mean
    assert "bag 64 float32+float32" not in by_name


def rows(draw: st.DrawFn) -> list[Row]:
    made = []
    for number in range(draw(st.integers(1, 8))):
        values = tuple(draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=9, max_size=9)))
        mean, cost = float(np.mean(values)), float(draw(st.integers(0, 4)))
        wait = draw(st.sampled_from([None, 1.0, 2.0, 3.0]))
        model, estimate = draw(st.sampled_from("ab")), Estimate(mean, mean, mean)
        name = f"{model}{number}"
        made.append(Row(name, model, 1, "", estimate, {}, "", cost, None, wait, values))
    return sorted(made, key=lambda row: -row.estimate.mean)


@given(st.composite(rows)())
def test_the_frontier_and_the_models_at_one_cost_are_those_of_a_search(table: list[Row]) -> None:
    found = trade_off(table)
    for row in table:
        better = [
            other
            for other in table
            if 0 < other.bytes_per_document <= row.bytes_per_document
            and other.estimate.mean >= row.estimate.mean
            and (other.bytes_per_document, -other.estimate.mean)
            != (row.bytes_per_document, -row.estimate.mean)
        ]
        if row.bytes_per_document == 0 or better:
            assert row.name not in found.frontier
    sizes = {row.name: (row.bytes_per_document, row.estimate.mean) for row in table}
    assert sorted(sizes[name] for name in found.frontier) == [
        sizes[name] for name in found.frontier
    ]
    for at in found.at_cost:
        for name in at.names:
            (own,) = (row for row in table if row.name == name)
            cost = own.query_milliseconds if at.unit == "ms" else own.bytes_per_document
            assert cost is not None
            assert cost <= at.limit
        first, other = (row for row in table if row.name in at.names)
        assert at.behind[0].mean == pytest.approx(first.estimate.mean - other.estimate.mean)
        assert 0 < at.p_holm[0] <= 1


def test_bad_input(bag, split: Split) -> None:
    for wrong, message in [
        ({"storages": ("int8+int8",)}, "vectors no larger than those that find"),
        ({"storages": ("binary+int4",)}, "not stored as 'int4'"),
        ({"dims": (-0.5,)}, "-0.5 dimensions"),
    ]:
        with pytest.raises(ContractError, match=message):
            model_systems(bag, split, name="bag", **wrong)
    scored = [{"query": f"a {n}", "positive": f"b {n}", "score": n / 9} for n in range(9)]
    pairs = Pairs.from_table(pa.Table.from_pylist(scored))
    with pytest.raises(InputError, match=r"binary\+int8 scores what is found again"):
        compare([bag], pairs, options=Options(storages=("binary+int8",)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatryoshkaWarning)
        table = compare([bag], pairs, options=Options(dims=SHARES, storages=STORED))
    assert len(table.rows) == 32
