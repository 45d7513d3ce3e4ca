"""How well a model's scores agree with people's."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from nearfield.statistics.finite import finite
from nearfield.statistics.resampled import Resampled
from nearfield.types.arrays import Doubles

SPEARMAN, PEARSON = "Spearman", "Pearson"


class Pearson(Resampled):
    """Pearson's correlation of a row's values with `gold: (n,)`, people's scores; 0 where the
    values are all the same.

    Raises InputError for a score that is not finite.
    """

    called: ClassVar[str] = "Pearson's correlation"

    def __init__(self, gold: npt.ArrayLike) -> None:
        self.gold = finite(gold, "score")
        super().__init__(len(self.gold))

    def weighted(self, values: Doubles, weights: Doubles) -> Doubles:
        """The correlation in each resample."""
        return _correlation(values[None], self.gold[None], weights)


class Spearman(Pearson):
    """Spearman's rank correlation: Pearson's of the ranks, those of ties their mean."""

    called: ClassVar[str] = "Spearman's correlation"

    def weighted(self, values: Doubles, weights: Doubles) -> Doubles:
        """The correlation in each resample."""
        # a resample repeats some items and lacks others, so that it has ranks of its own
        return _correlation(ranks(values, weights), ranks(self.gold, weights), weights)


def ranks(values: Doubles, weights: Doubles) -> Doubles:
    """The rank of each of `values: (n,)` among as many of each as `weights: (r, n)` says, from 1,
    ties having their mean: (r, n).
    """
    order = np.argsort(values, kind="stable")
    first = np.r_[True, np.diff(values[order]) != 0]  # of each run of ties
    counts = np.add.reduceat(weights[:, order], np.flatnonzero(first), axis=1)
    # a run's last rank, less half of the way back to its first
    mean = np.cumsum(counts, axis=1) - (counts - 1) / 2
    found = np.empty_like(weights)
    found[:, order] = mean[:, np.cumsum(first) - 1]
    return found


def _correlation(a: Doubles, b: Doubles, weights: Doubles) -> Doubles:
    """Pearson's correlation of the rows of `a` and `b`, (r, n) or (1, n), by their weights."""
    total = weights.sum(1, keepdims=True)
    a = a - (a * weights).sum(1, keepdims=True) / total
    b = b - (b * weights).sum(1, keepdims=True) / total
    length = np.sqrt((a**2 * weights).sum(1) * (b**2 * weights).sum(1))
    correlation: Doubles = (a * b * weights).sum(1) / np.where(length > 0, length, 1.0)
    return correlation
