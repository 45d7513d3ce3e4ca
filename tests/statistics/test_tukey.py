"""Tukey's range test: scipy's distribution, and the share of false alarms by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nearfield.statistics.tukey import tukey


@pytest.mark.parametrize(("rows", "items"), [(3, 8), (4, 40), (9, 300)])
def test_p_is_scipys_studentized_range(rows: int, items: int) -> None:
    rng = np.random.default_rng(rows)
    table = rng.normal(size=items) + rng.normal(0, 1, (rows, items)) + rng.normal(0, 0.2, (rows, 1))
    found = tukey(table)
    freedom = (rows - 1) * (items - 1)
    centred = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
    error = np.sqrt((centred**2).sum() / freedom / items)
    for a in range(rows):
        q = abs(table.mean(1)[a] - table.mean(1)[0]) / error
        wanted = stats.studentized_range.sf(q, rows, freedom) if a else 1.0
        assert found[a, 0] == pytest.approx(wanted, rel=0.02)
    np.testing.assert_array_equal(found, found.T)


def test_any_false_alarm_comes_in_five_of_a_hundred() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(400):
        table = rng.beta(0.4, 0.6, 60) + rng.normal(0, 0.3, (6, 60))
        alarms += bool((tukey(table) < 0.05).any())
    assert 0.025 < alarms / 400 < 0.08


def test_rows_that_do_not_differ_and_rows_that_do_so_alike() -> None:
    same = np.tile(np.linspace(0, 1, 9), (3, 1))
    assert (tukey(same) == 1).all()
    shifted = same + np.array([[0.0], [0.0], [0.5]])
    assert tukey(shifted)[0].tolist() == [1.0, 1.0, 0.0]
    assert tukey(same[:, :1]).shape == (3, 3)
