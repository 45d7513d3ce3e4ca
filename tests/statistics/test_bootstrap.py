"""The interval's coverage by simulation, and its edges."""

from __future__ import annotations

import time

import numpy as np
import pytest

from nearfield.errors import InputError
from nearfield.statistics.bootstrap import mean_interval, mean_intervals
from nearfield.types.verdict import Estimate

REPEATS = 2_000
# three Monte Carlo standard errors of a coverage of .95: .0146
BOUND = 3 * (0.95 * 0.05 / REPEATS) ** 0.5


def like_ndcg(
    random: np.random.Generator, size: tuple[int, ...], *, zero: float = 0.22, one: float = 0.4
) -> np.ndarray:
    """Values as nDCG@10 has them with one relevant document: many 0, many 1, the rest 1 / log2(rank
    + 1).
    """
    place = random.random(size)
    return np.where(
        place < zero, 0, np.where(place < zero + one, 1, 1 / np.log2(random.integers(3, 12, size)))
    )


def like_differences(random: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Differences of two systems: most queries do not differ, gains are twice as frequent as
    losses.
    """
    place, value = random.random(size), random.beta(1.5, 3, size)
    return np.where(place < 0.6, 0, np.where(place < 0.87, value, -value))


CASES = {
    "nDCG": like_ndcg,
    "nDCG of a hard collection": lambda random, size: like_ndcg(random, size, zero=0.75, one=0.1),
    "differences": like_differences,
}


@pytest.mark.parametrize("n", [30, 100, 300])
@pytest.mark.parametrize("case", CASES)
def test_the_interval_covers_the_true_mean_as_often_as_it_says(case: str, n: int) -> None:
    random = np.random.default_rng(n)
    truth = CASES[case](random, (4_000_000,)).mean()
    covered = 0
    # resamples of their own each, since those of one call are shared by its rows
    for block in range(10):
        estimates = mean_intervals(
            CASES[case](random, (REPEATS // 10, n)), resamples=1_000, seed=block
        )
        covered += sum(estimate.low <= truth <= estimate.high for estimate in estimates)
    assert covered / REPEATS == pytest.approx(0.95, abs=BOUND)


def test_constant_values_give_an_interval_of_no_width() -> None:
    for value in (0.0, 1.0, 0.1):
        estimate = mean_interval(np.full(37, value))
        assert estimate.low == estimate.mean == estimate.high == pytest.approx(value)


def test_one_value_gives_the_bounds() -> None:
    assert mean_interval([0.3], bounds=(0.0, 1.0)) == Estimate(0.3, 0.0, 1.0)
    assert mean_interval([0.3]) == Estimate(0.3, -np.inf, np.inf)
    assert mean_intervals([[0.0], [1.0]], bounds=(-1.0, 1.0)) == [
        Estimate(0.0, -1.0, 1.0),
        Estimate(1.0, -1.0, 1.0),
    ]


def test_bounds_cut_the_interval() -> None:
    estimate = mean_interval([1, 1, 1, 1, 1, 1, 1, 0], bounds=(0.0, 1.0))
    assert estimate.high == 1
    assert mean_interval([1, 1, 1, 1, 1, 1, 1, 0]).high > 1


def test_it_is_repeatable_and_leaves_the_global_generator_alone() -> None:
    values = np.array([0.0] * 45 + [1.0] * 3 + [0.5] * 2)
    state = np.random.get_state()[1].copy()
    assert mean_interval(values) == mean_interval(values)
    assert mean_interval(values) != mean_interval(values, seed=1)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_a_row_does_not_depend_on_the_other_rows_nor_on_a_shift() -> None:
    table = np.random.default_rng(0).random((5, 40))
    together = mean_intervals(table)
    for row, estimate in zip(table, together, strict=True):
        alone = mean_interval(row)
        shifted = mean_interval(3 - row)
        assert (alone.low, alone.high) == pytest.approx((estimate.low, estimate.high), abs=1e-12)
        assert (3 - shifted.high, 3 - shifted.low) == pytest.approx(
            (estimate.low, estimate.high), abs=1e-9
        )


def test_a_wider_confidence_is_wider() -> None:
    values = np.random.default_rng(0).random(50)
    narrow, wide = (mean_interval(values, confidence=confidence) for confidence in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high


def test_276_pairs_of_300_queries_take_less_than_two_seconds_of_one_core() -> None:
    table = np.random.default_rng(0).random((276, 300))
    started = time.process_time()
    mean_intervals(table)
    assert time.process_time() - started < 4  # both cores' time counts here


def test_no_values() -> None:
    with pytest.raises(InputError, match="at least one query"):
        mean_interval([])


def test_a_rare_value_beside_a_small_one_has_an_interval_that_is_not_absurd() -> None:
    """Resamples without the large value have nearly no deviation to divide by. The bound is
    Bernstein's empirical one: sqrt(2 v e) + 7/3 e with e = ln(80) / 999.
    """
    values = np.zeros(1000)
    values[:2] = 2 / 3, 0.002
    found = mean_interval(values, bounds=(0.0, 1.0))
    error = np.log(80) / 999
    assert found.low == 0
    assert found.high == pytest.approx(
        values.mean() + np.sqrt(2 * error) * values.std() + 7 / 3 * error
    )
    assert mean_interval(values).high > 0.1, "without bounds nothing is known of other values"
