"""Is a system shown to be not worse than another one by more than a margin?"""

from __future__ import annotations

import math

from scipy import stats

from nearfield.errors import InputError
from nearfield.statistics.finite import finite

LEVEL = 0.025  # one-sided, as in ICH E9, 3.5: what a 95 % interval below the margin says


def behind_by(loss: float, sd: float, n: int, margin: float) -> float:
    """p of the one-sided paired test that a system's mean is behind by `margin` or more, from the
    mean and the standard deviation of n queries' losses, the reference minus the system.

    Below `LEVEL` it is shown to be behind by less. p = P(T_(n-1) <= (loss - margin) / (sd /
    sqrt(n))), Student's test with the null hypothesis at the margin (Wellek 2010, ch. 2; ICH E9);
    never less than 2^-n, the least of a test by flips of signs, so that fewer than six queries show
    nothing, however alike their values are. Raises InputError where a number is not finite and as
    `check_margin` does.
    """
    check_margin(margin)
    finite([loss, sd], "mean or standard deviation")
    # losses without a spread have no t: the mean alone decides
    if n < 2 or sd <= 1e-12:
        p = 0.0 if loss < margin else 1.0
    else:
        p = float(stats.t.cdf((loss - margin) / (sd / math.sqrt(n)), n - 1))
    return max(p, 2.0**-n)


def check_margin(margin: float) -> None:
    """Raise InputError for a margin that is not above 0."""
    if not (margin > 0 and math.isfinite(margin)):
        raise InputError(f"the margin is {margin:g}; wanted a number above 0")
