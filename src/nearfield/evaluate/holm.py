"""Many comparisons at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def holm(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Holm's step-down correction of m p values, in their order.

    The i-th smallest, from 0, is multiplied by m - i; none may be smaller than one before it nor above 1. Rejecting those
    below alpha keeps the chance of any false rejection below alpha, whatever the tests' dependence (Holm 1979).
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return corrected
