"""No statistic is made of NaN or infinity."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nearfield.errors import InputError
from nearfield.statistics.bootstrap import mean_interval, mean_intervals
from nearfield.statistics.correlation import Spearman
from nearfield.statistics.finite import finite
from nearfield.statistics.holm import holm
from nearfield.statistics.pairwise import tell_apart
from nearfield.statistics.power import detectable, needed, queries_needed
from nearfield.statistics.randomisation import paired_test, paired_tests
from nearfield.statistics.statistic import Mean
from paired import noninferiority

GOOD = [0.1, 0.2, 0.4, 0.3]
STATISTICS: dict[str, Callable[[list[float]], object]] = {
    "mean_interval": mean_interval,
    "mean_intervals": lambda values: mean_intervals([GOOD, values]),
    "paired_test a": lambda values: paired_test(values, GOOD),
    "paired_test b": lambda values: paired_test(GOOD, values),
    "paired_tests": lambda values: paired_tests([GOOD, values]),
    "holm": holm,
    "queries_needed": queries_needed,
    "needed by mean": lambda values: needed(values[1], 1.0),
    "needed by deviation": lambda values: needed(0.1, values[1]),
    "tell_apart": lambda values: tell_apart("ab", np.array([GOOD, values]), Mean(), 4),
    "noninferiority": lambda values: noninferiority(values, 0.1),
    "detectable": lambda values: detectable(values[1], 9),
    "spearman of similarities": lambda values: Spearman(GOOD).of(np.array(values)),
    "spearman of scores": lambda values: Spearman(values).of(np.array(GOOD)),
}


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("statistic", STATISTICS)
def test_it_is_refused(statistic: str, wrong: float) -> None:
    STATISTICS[statistic](GOOD)
    with pytest.raises(InputError, match=r"not finite.*leave out"):
        STATISTICS[statistic]([0.1, wrong, 0.4, 0.3])


def test_p_values_and_levels_lie_between_0_and_1() -> None:
    with pytest.raises(InputError, match="wanted numbers between 0 and 1"):
        holm([0.2, -0.1])
    for power, alpha in ((1.0, 0.05), (0.8, 0.0)):
        with pytest.raises(InputError, match="wanted both between 0 and 1"):
            needed(0.1, 1.0, power=power, alpha=alpha)


@pytest.mark.parametrize("values", [["a", 1.0], [[1.0], [1.0, 2.0]], [{}, 1.0]])
def test_what_is_no_number_is_refused(values: list[object]) -> None:
    with pytest.raises(InputError, match="not each value is a number"):
        finite(values, "value")  # type: ignore[arg-type]
