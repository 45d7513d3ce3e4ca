"""The randomisation test against full enumeration and scipy, and its false-positive rate by
simulation.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from nearfield.errors import InputError
from nearfield.statistics.randomisation import paired_test, paired_tests

REPEATS = 4_000
# three Monte Carlo standard errors of a rate of .05: .0103
BOUND = 3 * (0.05 * 0.95 / REPEATS) ** 0.5


def naive(differences: list[float]) -> float:
    flips = list(itertools.product((1, -1), repeat=len(differences)))
    sums = [
        abs(sum(sign * value for sign, value in zip(flip, differences, strict=True)))
        for flip in flips
    ]
    return sum(total >= abs(sum(differences)) - 1e-9 for total in sums) / len(flips)


@pytest.mark.parametrize("seed", range(6))
def test_all_flips_are_enumerated_where_they_are_few(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = np.round(random.random((2, 9)), 1)
    assert paired_test(a, b) == pytest.approx(naive((a - b).tolist()))
    # queries that do not differ add no flips
    a, b = np.append(a, np.ones(200)), np.append(b, np.ones(200))
    assert paired_test(a, b) == pytest.approx(naive((a - b)[:9].tolist()))


def test_scipy_gives_about_the_same() -> None:
    random = np.random.default_rng(1)
    a = random.random(60)
    b = a - random.normal(0.03, 0.15, 60)
    theirs = stats.permutation_test(
        (a, b),
        lambda x, y: np.mean(x - y),
        permutation_type="samples",
        n_resamples=9_999,
        rng=random,
    ).pvalue
    assert paired_test(a, b) == pytest.approx(theirs, abs=0.02)


@pytest.mark.parametrize("n", [30, 300])
def test_false_positives_are_as_frequent_as_the_level_says(n: int) -> None:
    """Both systems draw each query's two values from the same distribution: three in five queries
    do not differ at all.
    """
    random = np.random.default_rng(n)
    false = 0
    for block in range(20):
        shape = (REPEATS // 20, n)
        a, b = (
            np.where(random.random(shape) < 0.3, 0, random.beta(0.5, 0.5, shape)) for _ in range(2)
        )
        alike = random.random(shape) < 0.6
        false += (
            paired_tests(np.where(alike, 0, a - b), permutations=999, seed=block) < 0.05
        ).sum()
    assert false / REPEATS == pytest.approx(0.05, abs=BOUND)


def test_sides_do_not_matter_and_runs_repeat() -> None:
    a, b = np.random.default_rng(0).random((2, 80))
    assert paired_test(a, b) == paired_test(b, a) == paired_test(a, b)
    assert paired_test(a, b) != paired_test(a, b, seed=1)


def test_a_row_does_not_depend_on_the_other_rows() -> None:
    table = np.random.default_rng(0).normal(0.02, 0.2, (4, 70))
    table[1, 5:] = 0  # this one is enumerated
    together = paired_tests(table)
    assert [paired_test(row, np.zeros(70)) for row in table] == together.tolist()
    assert paired_tests(table[::-1]).tolist() == together[::-1].tolist()


def test_extremes() -> None:
    assert paired_test([0.5, 0.5], [0.5, 0.5]) == 1
    assert paired_test([1, 1], [0, 0]) == 0.5
    assert paired_test(np.ones(100), np.zeros(100)) == 1 / 10_001


def test_bad_input() -> None:
    for a, b in (([], []), ([1.0], [1.0, 2.0])):
        with pytest.raises(InputError, match="same queries on both sides"):
            paired_test(a, b)


def test_more_queries_than_a_float_has_powers_of_two() -> None:
    generator = np.random.default_rng(0)
    before, after = generator.random(3000), generator.random(3000)
    assert 0 < paired_test(before, after) <= 1
