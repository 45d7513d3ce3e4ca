"""Arrays as signatures name them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Positions = npt.NDArray[np.int64]
"""Places of items in a sequence, -1 for none."""
Mask = npt.NDArray[np.bool_]
