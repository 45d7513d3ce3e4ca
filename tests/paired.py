"""Statistics of paired differences from the differences themselves, as tests have them."""

from __future__ import annotations

import numpy.typing as npt

from nearfield.statistics.finite import finite
from nearfield.statistics.noninferiority import behind_by


def noninferiority(losses: npt.ArrayLike, margin: float) -> float:
    """`behind_by` of the mean and the spread of losses, one per query."""
    values = finite(losses, "loss")
    spread = float(values.std(ddof=1)) if values.size > 1 else 0.0
    return behind_by(float(values.mean()), spread, values.size, margin)
