"""MPNet's relative positions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def relative_bucket(distances: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Which of MPNet's 32 biases holds at each distance, key place - query place (T5, Raffel et al.
    2020, section 2.1).
    """
    half = 16  # buckets in either direction
    exact = 8  # nearer than this, each distance has a bucket of its own
    furthest = 128  # from here on all share the last; between, buckets grow with the logarithm
    near = np.abs(distances)
    steps = (
        np.log(np.maximum(near, 1).astype(np.float32) / exact)
        / np.float32(np.log(furthest / exact))
        * np.float32(half - exact)
    )
    far = np.minimum(exact + steps.astype(np.int64), half - 1)
    return np.where(distances > 0, half, 0) + np.where(near < exact, near, far)
