"""Many comparisons at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nearfield.errors import InputError
from nearfield.statistics.finite import finite
from nearfield.types.arrays import Doubles


def holm(p_values: npt.ArrayLike) -> Doubles:
    """Holm's step-down correction of m p values, in their order.

    The i-th smallest, from 0, is multiplied by m - i; none may be smaller than one before it nor
    above 1. Rejecting those below alpha keeps the chance of any false rejection below alpha,
    whatever the tests' dependence (Holm 1979). Raises InputError for a p that is not between 0 and
    1.
    """
    p = finite(p_values, "p value")
    if p.size and not 0 <= p.min() <= p.max() <= 1:
        raise InputError(
            f"p values reach from {p.min():g} to {p.max():g}; wanted numbers between 0 and 1"
        )
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return corrected
