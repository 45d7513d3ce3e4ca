"""Numbers that statistics can be made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nearfield.errors import InputError
from nearfield.types.arrays import Doubles


def finite(values: npt.ArrayLike, what: str) -> Doubles:
    """`values` as float64. Raises InputError where one is not a finite number; `what` names one of
    them, as "difference".
    """
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"not each {what} is a number ({error}); wanted a finite number for each query"
        ) from error
    wrong = np.argwhere(~np.isfinite(numbers))
    if len(wrong):
        place = tuple(wrong[0].tolist())
        where = ", ".join(map(str, place)) or "0"
        raise InputError(
            f"{len(wrong):,} of {numbers.size:,} numbers are not finite, the first {what} "
            f"({numbers[place]}) at position {where}; "
            "wanted a finite number for each query: leave out queries that have none, on both sides"
        )
    return numbers
