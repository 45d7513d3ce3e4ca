"""The number of queries against simulated tests with so many queries."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nearfield.errors import InputError
from nearfield.statistics.power import detectable, needed, queries_needed
from nearfield.statistics.randomisation import paired_tests

REPEATS = 1_000


@pytest.mark.parametrize(
    ("gains", "losses", "alpha"), [(0.27, 0.13, 0.05), (0.2, 0.02, 0.05), (0.5, 0.3, 0.005)]
)
def test_so_many_queries_show_the_difference_four_times_in_five(
    gains: float, losses: float, alpha: float
) -> None:
    random = np.random.default_rng(int(1000 * gains))

    def draw(*size: int) -> np.ndarray:
        place, value = random.random(size), random.beta(2, 2, size)
        return np.where(place < gains, value, np.where(place < gains + losses, -value, 0))

    n = queries_needed(draw(1_000_000), alpha=alpha)
    assert n is not None
    shown = sum(
        (paired_tests(draw(100, n), permutations=1_999, seed=block) < alpha).sum()
        for block in range(REPEATS // 100)
    )
    # .038 Monte Carlo, .01 the approximation
    assert shown / REPEATS == pytest.approx(0.8, abs=3 * (0.8 * 0.2 / REPEATS) ** 0.5 + 0.01)


def test_limits() -> None:
    assert queries_needed([0.1] * 50) == 6  # below six queries no flip of signs reaches 5 %
    assert queries_needed([0.5, -0.5]) is queries_needed([0.0, 0.0]) is None  # none would show it
    assert queries_needed([1e-9, -1e-9, 1e-9] + [1.0, -1.0] * 20) is None
    few, more = (queries_needed([0.1, 0.2, 0.0], power=power) for power in (0.8, 0.99))
    assert few is not None
    assert more is not None
    assert more > few
    with pytest.raises(InputError, match="no paired difference"):
        queries_needed([])


@pytest.mark.parametrize(("n", "alpha"), [(30, 0.05), (300, 0.05), (300, 0.005)])
def test_the_least_detectable_difference_has_this_power_by_the_noncentral_t(
    n: int, alpha: float
) -> None:
    least = detectable(0.2, n, alpha=alpha)
    assert least is not None
    end, away = stats.t.ppf(1 - alpha / 2, n - 1), least / (0.2 / n**0.5)
    power = stats.nct.sf(end, n - 1, away) + stats.nct.cdf(-end, n - 1, away)
    assert power == pytest.approx(0.8, abs=0.01)
    assert needed(least, 0.2, alpha=alpha) in (n, n + 1)  # of rounding


def test_the_least_detectable_difference_is_shown_four_times_in_five() -> None:
    random, n = np.random.default_rng(5), 60
    least = detectable(0.15, n)
    assert least is not None
    drawn = random.normal(least, 0.15, (REPEATS, n))
    shown = np.mean(paired_tests(drawn, permutations=1_999) < 0.05)
    assert shown == pytest.approx(0.8, abs=3 * (0.8 * 0.2 / REPEATS) ** 0.5 + 0.01)
    assert detectable(0.15, 5) is None  # no flip of five signs reaches 5 %
    assert detectable(0.0, 6) == 0
    with pytest.raises(InputError, match="wanted both between"):
        detectable(0.15, n, power=1.0)
