"""The interval of a mean difference: its coverage with few queries, and that it says what the test
says.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nearfield.errors import InputError
from nearfield.statistics.differences import _end, mean_difference, mean_differences
from nearfield.statistics.power import queries_needed
from nearfield.statistics.randomisation import paired_test, paired_tests
from nearfield.statistics.statistic import Mean

NDCG = np.array([0.0, 0.0, 0.0, 0.0, 0.289, 0.315, 0.387, 0.431, 0.5, 0.631, 1.0])
REPEATS = 1_000


def of_ndcg(
    random: np.random.Generator, size: tuple[int, ...], *, shift: float = 0.0
) -> np.ndarray:
    """Differences of two systems' nDCG@10: discrete, half of them 0; the second finds a share of
    `shift` more.
    """
    first, second = random.choice(NDCG, size), random.choice(NDCG, size)
    second = np.where(random.random(size) < shift, 1.0, second)
    return np.where(random.random(size) < 0.4, 0.0, second - first)


@pytest.mark.parametrize("shift", [0.0, 0.3])
@pytest.mark.parametrize("n", [8, 13, 30, 50])
def test_few_queries_are_covered_and_the_interval_says_what_the_test_says(
    n: int, shift: float
) -> None:
    random = np.random.default_rng(n)
    truth = of_ndcg(random, (2_000_000,), shift=shift).mean()
    table = of_ndcg(random, (REPEATS, n), shift=shift)
    estimates, p = mean_differences(table)
    covered = np.mean([each.low <= truth <= each.high for each in estimates])
    # with 8 queries few samples can be shown, and the interval is held at 0
    assert (0.91 if n == 8 else 0.93) <= covered <= 0.985
    assert [each.low <= 0 <= each.high for each in estimates] == (p >= 0.05).tolist()
    width = np.mean([each.high - each.low for each in estimates])
    students = 2 * stats.t.ppf(0.975, n - 1) * table.std(1, ddof=1).mean() / n**0.5
    assert width == pytest.approx(students, rel=0.03)


@pytest.mark.parametrize("shift", [0.5, 0.8])
def test_as_many_queries_as_are_needed_show_it_where_they_are_few(shift: float) -> None:
    random = np.random.default_rng(7)
    n = queries_needed(of_ndcg(random, (1_000_000,), shift=shift))
    assert n is not None
    assert 8 <= n <= 60
    estimates, _ = mean_differences(of_ndcg(random, (2 * REPEATS, n), shift=shift))
    assert np.mean([each.low > 0 for each in estimates]) == pytest.approx(0.8, abs=0.05)


@settings(max_examples=150)
@given(st.lists(st.sampled_from([0.0, 0.0, 1.0, 0.5, -0.5, 0.289, -0.1]), min_size=1, max_size=20))
def test_the_interval_holds_0_exactly_where_the_test_shows_nothing(values: list[float]) -> None:
    estimate, p = mean_difference(values)
    assert p == paired_test(values, np.zeros(len(values)))
    assert (estimate.low <= 0 <= estimate.high) == (p >= 0.05)
    assert -1 <= estimate.low <= estimate.mean + 1e-12
    assert estimate.mean - 1e-12 <= estimate.high <= 1
    turned, _ = mean_difference([-value for value in values])
    assert (-turned.high, -turned.low) == pytest.approx((estimate.low, estimate.high))


def test_the_end_is_the_least_mean_that_the_test_does_not_reject() -> None:
    # Student's holds 0, and no flip of signs comes as far
    values = np.array([0.02, 0.01, 0.03, 0.9, 0.02, 0.04, 0.01])
    estimate, p = mean_difference(values)
    assert p == 2 / 2**7
    assert estimate.low == _end(values, 0.05) > 0
    assert (
        paired_test(values - estimate.low, np.zeros(7))
        >= 0.05
        > paired_test(values - estimate.low + 1e-6, np.zeros(7))
    )


def test_edges() -> None:
    assert mean_difference([0.3])[0].low == -1
    assert mean_difference([0.1] * 3)[0].low == 0  # three queries show nothing
    assert mean_difference([0.1] * 8)[0].low == pytest.approx(0.1)
    estimate, p = mean_difference([0.0] * 8)
    assert (estimate.low, estimate.high, p) == (0, 0, 1)
    table = of_ndcg(np.random.default_rng(0), (4, 40), shift=0.3)
    together, _ = mean_differences(table)
    assert [mean_difference(row)[0] for row in table] == together
    assert paired_tests(table).tolist() == mean_differences(table)[1].tolist()
    with pytest.raises(InputError, match="at least one query"):
        mean_difference([])


def test_differences_of_values_from_minus_one_to_one_may_reach_two() -> None:
    table = np.array([[1.0, 0.9, 0.95, 0.8], [-1.0, -0.8, -0.9, -0.95]])
    _, tests = Mean(low=-1.0).side_by_side(table, [(0, 1)])
    difference = tests[0].difference
    assert difference.low < difference.mean < difference.high <= 2
