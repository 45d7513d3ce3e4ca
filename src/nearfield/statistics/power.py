"""How many queries it takes, and what so many show."""

from __future__ import annotations

import math

import numpy.typing as npt
from scipy import stats

from nearfield.errors import InputError
from nearfield.statistics.finite import finite

# more queries than anyone has: where it takes more, none would show the difference
CEILING = 1_000_000_000


def queries_needed(
    differences: npt.ArrayLike, *, power: float = 0.8, alpha: float = 0.05
) -> int | None:
    """Queries at which a true difference of this mean and spread is shown with probability `power`
    at level `alpha`.

    n = (z_(1-alpha/2) + z_power)^2 (sd / mean)^2 + z_(1-alpha/2)^2 / 2, the normal approximation of
    the paired test with Guenther's (1981) correction for the estimated sd; at least the 1 -
    log2(alpha) queries below which no flip of signs can reach `alpha`. None where it takes more
    than a billion, as for a mean of 0. Raises InputError where `differences` is empty, or one is
    not finite, and as `needed` does.
    """
    values = finite(differences, "difference")
    if values.size == 0:
        raise InputError("there are no paired differences; wanted at least one query")
    sd = values.std(ddof=1) if values.size > 1 else 0.0
    return needed(float(values.mean()), float(sd), power=power, alpha=alpha)


def needed(mean: float, sd: float, *, power: float = 0.8, alpha: float = 0.05) -> int | None:
    """`queries_needed` from the mean and the standard deviation of one query's difference.

    Raises InputError where either is not finite, and where `power` or `alpha` is not between 0 and
    1.
    """
    finite([mean, sd], "mean or standard deviation")
    level, chance, least = _quantiles(power, alpha)
    if abs(mean) <= 1e-12:
        return None
    n = (level + chance) ** 2 * (sd / mean) ** 2 + level**2 / 2
    if n >= CEILING:
        return None
    return max(least, math.ceil(n))


def detectable(sd: float, n: int, *, power: float = 0.8, alpha: float = 0.05) -> float | None:
    """The least true difference that n queries show with probability `power` at level `alpha`,
    where one query's difference has the standard deviation `sd`.

    The formula of `queries_needed`, solved for the mean: (z_(1-alpha/2) + z_power) sd / sqrt(n -
    z_(1-alpha/2)^2 / 2). None where so few queries show no difference. Raises InputError as
    `needed` does.
    """
    finite([sd], "standard deviation")
    level, chance, least = _quantiles(power, alpha)
    if n < least:
        return None
    return (level + chance) * sd / math.sqrt(n - level**2 / 2)


def _quantiles(power: float, alpha: float) -> tuple[float, float, int]:
    """z of the level and of the power, and the least number of queries whose signs reach it."""
    if not (0 < alpha < 1 and 0 < power < 1):
        raise InputError(f"got power {power:g} and alpha {alpha:g}; wanted both between 0 and 1")
    level, chance = map(float, stats.norm.ppf([1 - alpha / 2, power]))
    return level, chance, math.ceil(1 - math.log2(alpha))
