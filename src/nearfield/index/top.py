"""The k best of scored candidates, in one order whatever the batches were."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.errors import InputError

TopK = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]


def best(
    scores: npt.NDArray[Any], positions: npt.NDArray[np.int64], k: int
) -> npt.NDArray[np.int64]:
    """Which of `scores: (m,)` are the k highest, best first, equal scores by smaller position:
    (min(k, m),) int64 into `scores`.
    """
    kept = np.arange(len(scores))
    if k < len(scores):
        kept = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
    order: npt.NDArray[np.int64] = kept[np.lexsort((positions[kept], -scores[kept]))[:k]]
    return order


def empty_top_k(n: int, k: int) -> TopK:
    """n queries with no result yet: documents (n, k) of -1 and scores (n, k) of -inf. Raises
    InputError where k is below 1.
    """
    if k < 1:
        raise InputError(f"{k} results a query were asked for; wanted at least 1")
    return np.full((n, k), -1, np.int64), np.full((n, k), -np.inf, np.float32)
