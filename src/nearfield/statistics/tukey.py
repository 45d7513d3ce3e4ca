"""All pairs of rows at once, by Tukey's range test."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy import stats
from scipy.interpolate import PchipInterpolator

from nearfield.types.arrays import Doubles

_QUANTILES = 400  # of the spread's distribution, over which the p is averaged
_GRID = np.linspace(0.0, 20.0, 401)


def tukey(table: Doubles) -> Doubles:
    """(r, r) p of each pair of rows of `table: (r, n)`, corrected for all pairs: the chance that
    the range of r alike rows' means is as large as the pair's difference.

    Tukey's honestly significant difference after a two-way analysis of variance, whose blocks are
    the items (Tukey 1953; Carterette 2012, Sakai 2018 for retrieval): q = |difference| / sqrt(MS /
    n) against the studentized range of r and (r - 1)(n - 1). It supposes that all rows' residuals
    have one variance, which Holm's correction of paired tests does not. 1 where nothing differs.
    """
    r, n = table.shape
    means = table.mean(1)
    gaps = np.abs(means[:, None] - means[None, :])
    freedom = (r - 1) * (n - 1)
    # what neither the row nor the item explains
    residual = table - table.mean(0) - means[:, None] + table.mean()
    square = float((residual**2).sum()) / max(1, freedom)
    if freedom < 1 or square <= 1e-24:
        return np.where(gaps > 1e-12, 0.0, 1.0)
    return _beyond(gaps / math.sqrt(square / n), r, freedom)


def _beyond(q: Doubles, rows: int, freedom: int) -> Doubles:
    """P(studentized range > q): that of a known spread, which is quick to compute, averaged over
    the spread's distribution.
    """
    curve = _known_spread(rows)
    # the spread's own distribution, chi / sqrt(freedom), by the middles of equal parts
    chances = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    spreads = np.sqrt(stats.chi2.ppf(chances, freedom) / freedom)
    # at the grid's end the curve is 0 but for rounding, and past it too
    p: Doubles = curve(np.minimum(np.multiply.outer(spreads, q), _GRID[-1])).mean(0)
    return np.clip(p, 0.0, 1.0)


@cache
def _known_spread(rows: int) -> PchipInterpolator:
    """P(studentized range > q) of q, were the spread known: of any table of so many rows."""
    chances = stats.studentized_range.sf(_GRID, rows, np.inf)
    return PchipInterpolator(_GRID, np.clip(chances, 0.0, 1.0))
