"""The mean of paired differences: an interval and a test that never contradict each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from nearfield.errors import InputError
from nearfield.statistics.finite import finite
from nearfield.statistics.randomisation import PERMUTATIONS, paired_tests
from nearfield.types.arrays import Doubles
from nearfield.types.verdict import Estimate

ALL_SIGNS = 13  # queries up to which every flip of signs is looked at


def mean_difference(
    values: npt.ArrayLike, *, bounds: tuple[float, float] = (-1.0, 1.0)
) -> tuple[Estimate, float]:
    """The mean of `values: (n,)`, one paired difference per query, with its interval and its
    p, as `mean_differences` makes them.
    """
    estimates, p = mean_differences(np.asarray(values, np.float64)[None, :], bounds=bounds)
    return estimates[0], float(p[0])


def mean_differences(
    differences: npt.ArrayLike, *, alpha: float = 0.05, bounds: tuple[float, float] = (-1.0, 1.0)
) -> tuple[list[Estimate], Doubles]:
    """The mean of each row of `differences: (r, n)` with its 1 - alpha interval, cut to `bounds`,
    and the p of `paired_tests`: (r,).

    The interval is Student's, made to agree with the test: it holds 0 exactly where p is `alpha` or
    more. Where the test sees what Student's does not, its end is that of the means which the test
    would not reject (Hartigan 1969). From 8 queries on its coverage is as close to 1 - alpha as
    that of the bootstrap-t, which is up to half as wide again (benchmarks/intervals.py). One query
    gives `bounds`. Raises InputError for no query and a difference that is not finite.
    """
    table = finite(differences, "difference")
    n = table.shape[1]
    if n == 0:
        raise InputError("there are no paired differences; wanted at least one query")
    means = table.mean(1)
    p = paired_tests(table)
    if n == 1:
        return [Estimate(float(mean), *map(float, bounds)) for mean in means], p
    half = stats.t.ppf(1 - alpha / 2, n - 1) * table.std(1, ddof=1) / np.sqrt(n)
    low = means - half
    high = means + half
    # where they disagree, the interval follows the test
    chance = p >= alpha
    low[chance] = np.minimum(low[chance], 0.0)
    high[chance] = np.maximum(high[chance], 0.0)
    for row in np.flatnonzero(~chance & (low <= 0) & (high >= 0)):
        if means[row] > 0:
            low[row] = _end(table[row], alpha)
        else:
            high[row] = -_end(-table[row], alpha)
    low = np.maximum(low, bounds[0])
    high = np.minimum(high, bounds[1])
    return [Estimate(*map(float, row)) for row in zip(means, low, high, strict=True)], p


def _end(differences: Doubles, alpha: float) -> float:
    """The least mean above 0 that the sign-flip test of these differences, whose mean is above 0,
    does not reject.

    A flip of signs leaves a sum as far from 0 as theirs exactly where the supposed mean lies
    between the means of those that are flipped and of those that are not.
    """
    n = len(differences)
    if n <= ALL_SIGNS:
        # the bits of 0 to 2^n - 1
        flipped = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.float64)
    else:
        flipped = np.random.default_rng(0).integers(0, 2, (PERMUTATIONS, n)).astype(np.float64)
    count = flipped.sum(1)
    total = flipped @ differences
    some = (count > 0) & (count < n)  # none and all flipped reject no mean
    count = count[some]
    total = total[some]
    # from which supposed mean on each flip counts against a rejection
    least = np.sort(np.minimum(total / count, (differences.sum() - total) / (n - count)))
    # a mean stops being rejected where `alpha` of all flips count, and those of none and of all
    # always do
    place = int(np.ceil(alpha * len(flipped))) - int((~some).sum()) - 1
    # the test rejected 0, maybe by other flips than these: the end lies above it all the same
    above = least[least > 0]
    return float(max(least[max(place, 0)], above[0] if len(above) else 0.0))
