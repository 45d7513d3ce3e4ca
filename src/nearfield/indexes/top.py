"""The k best of scored candidates, in one order whatever the batches were."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.errors import InputError
from nearfield.types.arrays import Floats, Positions

TopK = tuple[Positions, Floats]


def best(scores: npt.NDArray[Any], positions: Positions, k: int) -> Positions:
    """Which of `scores: (m,)` are the k highest, best first, equal scores by smaller position:
    (min(k, m),) int64 into `scores`.
    """
    kept = np.arange(len(scores))
    if k < len(scores):
        # all that tie with the k-th best stay, so that positions decide between them
        least = np.partition(scores, -k)[-k]
        kept = np.flatnonzero(scores >= least)
    order = np.lexsort((positions[kept], -scores[kept]))  # the last key counts first
    first: Positions = kept[order[:k]]
    return first


def empty_top_k(n: int, k: int) -> TopK:
    """n queries with no result yet: documents (n, k) of -1 and scores (n, k) of -inf. Raises
    InputError where k is below 1.
    """
    if k < 1:
        raise InputError(f"{k} results per query were asked for; wanted at least 1")
    documents = np.full((n, k), -1, np.int64)
    scores = np.full((n, k), -np.inf, np.float32)
    return documents, scores


def best_of_blocks(blocks: Iterable[tuple[int, int, Floats]], queries: int, k: int) -> TopK:
    """The k best documents of each query, from scores that come a block at a time.

    Each of `blocks` is the first query, the first document, and the scores (queries, documents)
    from there on. Returns documents (n, k), -1 where fewer have a score above -inf, and scores.
    """
    found, scores = empty_top_k(queries, k)
    for first, start, block in blocks:
        for row, own in enumerate(block, first):
            # the block's best against the best of the blocks before
            chosen = best(own, np.arange(len(own)), k)
            places = np.concatenate([found[row], chosen + start])
            values = np.concatenate([scores[row], own[chosen]])
            real = np.flatnonzero((places >= 0) & (values > -np.inf))
            kept = real[best(values[real], places[real], k)]
            found[row, : len(kept)] = places[kept]
            scores[row, : len(kept)] = values[kept]
    return found, scores
