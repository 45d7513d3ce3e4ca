"""How certain a mean over queries is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import stats

from nearfield.errors import InputError
from nearfield.statistics.finite import finite
from nearfield.types.arrays import Doubles
from nearfield.types.verdict import Estimate

RESAMPLES = 10_000
_CELLS = 4_000_000  # numbers of a block of resamples: 32 MB


def mean_interval(
    values: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Estimate:
    """The mean of `values: (n,)`, one per query, and its interval as `mean_intervals` makes it."""
    row = finite(values, "value")[None, :]
    return mean_intervals(row, confidence=confidence, seed=seed, bounds=bounds)[0]


def mean_intervals(
    values: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> list[Estimate]:
    """The mean of each row of `values: (r, n)` and its symmetric bootstrap-t interval, cut to
    `bounds`.

    mean +- q s / sqrt(n), where q is the `confidence` quantile of |t| over resamples of the queries
    (Hall 1988: coverage error O(n^-2)), and never less than Student's. Of the percentile, BCa,
    bootstrap-t and Student's intervals this is the one whose coverage held on zero-inflated values,
    from n = 30 on; for paired differences, which are tested, see `mean_differences`. All rows use
    the same resamples, so a row's interval does not depend on the other rows. Where `bounds` are
    finite it is no wider than the empirical Bernstein bound (Maurer and Pontil 2009, theorem 4, at
    half the error for each side), which matters where one value in a thousand is not 0: resamples
    without that value have no deviation to divide by. Constant values give
    an interval of no width; a single value, which says nothing of how values differ, gives
    `bounds`. Raises InputError for no value, and for one that is not finite.
    """
    table = finite(values, "value")
    if table.shape[1] == 0:
        raise InputError("there are no values to take the mean of; wanted at least one query")
    means = table.mean(1)
    centred = table - means[:, None]
    # constant but for the mean's rounding
    centred[np.abs(centred) <= 1e-12 * np.abs(table).max(1, initial=0.0)[:, None]] = 0.0
    deviation = np.sqrt((centred**2).mean(1))
    n = table.shape[1]
    if n == 1:
        return [Estimate(float(mean), *map(float, bounds)) for mean in means]
    blocks = [_t_values(weights, centred, deviation) for weights in resampled(n, resamples, seed)]
    drawn = np.concatenate(blocks)  # (resamples, r)
    # in units of `deviation`, as `drawn` is, which divides by n and not by n - 1
    student = stats.t.ppf((1 + confidence) / 2, n - 1) / np.sqrt(n - 1)
    half = np.maximum(np.quantile(drawn, confidence, axis=0), student) * deviation
    if np.isfinite(bounds).all():
        # half of 1 - confidence on each side: ln(2 / d) is ln(4 / (1 - confidence))
        error = np.log(4 / (1 - confidence)) / (n - 1)
        half = np.minimum(half, _bernstein(deviation, error, bounds[1] - bounds[0]))
    low = np.maximum(means - half, bounds[0])
    high = np.minimum(means + half, bounds[1])
    return [Estimate(*map(float, row)) for row in zip(means, low, high, strict=True)]


def _bernstein(deviation: Doubles, error: float, width: float) -> Doubles:
    """sqrt(2 V ln(2/d) / n) + 7 `width` ln(2/d) / (3 (n - 1)), V the variance over n - 1 and
    `error` ln(2/d) / (n - 1).
    """
    # V / n is deviation^2 / (n - 1), since `deviation` divides by n
    bound: Doubles = np.sqrt(2 * error) * deviation + 7 / 3 * error * width
    return bound


def resampled(n: int, resamples: int, seed: int) -> Iterator[Doubles]:
    """How often each of n queries is drawn in each resample, in blocks (rows, n) of `resamples`
    rows altogether.
    """
    generator = np.random.default_rng(seed)
    rows = max(1, _CELLS // n)
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        # each row in a range of its own, so that one count serves the block
        drawn = generator.integers(0, n, (count, n)) + np.arange(count)[:, None] * n
        counts = np.bincount(drawn.ravel(), minlength=count * n)
        yield counts.reshape(count, n).astype(np.float64)


def _t_values(weights: Doubles, centred: Doubles, deviation: Doubles) -> Doubles:
    """|resampled mean| / resampled deviation, (resamples, r); by the sample's own deviation where a
    resample has none.
    """
    n = weights.shape[1]
    mean = weights @ centred.T / n
    variance = weights @ (centred**2).T / n - mean**2
    # of a resample of equal values the difference of two sums leaves rounding, even below 0
    scale = np.where(variance > 1e-12 * deviation**2, np.sqrt(np.maximum(variance, 0)), deviation)
    # a constant row, which was centred to 0, has a t of 0
    t_values: Doubles = np.abs(mean) / np.where(scale > 0, scale, 1.0)
    return t_values
