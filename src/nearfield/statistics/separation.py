"""How well a row's values tell positive items from negative ones."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from nearfield.statistics.resampled import Resampled
from nearfield.types.arrays import Doubles


class Separation(Resampled):
    """A measure of all thresholds between a row's values; equal values lie on one side of each.

    `gold: (n,)` is 1 for a positive item, else 0. Raises InputError for a value that is not finite.
    """

    def __init__(self, gold: npt.ArrayLike) -> None:
        self.gold = np.asarray(gold, np.float64)
        super().__init__(len(self.gold))

    def weighted(self, values: Doubles, weights: Doubles) -> Doubles:
        """The measure in each resample, 0 in one without a positive item."""
        order = np.argsort(-values, kind="stable")
        # equal values are on one side of a threshold: only behind their last can it lie
        last = np.flatnonzero(np.r_[np.diff(values[order]) != 0, True])
        ordered = weights[:, order]
        found = np.cumsum(ordered, axis=1)[:, last]
        right = np.cumsum(ordered * self.gold[order], axis=1)[:, last]
        return self.measured(right, found, weights.sum(1))

    @abstractmethod
    def measured(self, right: Doubles, found: Doubles, total: Doubles) -> Doubles:
        """The measure, (r,), by the items at or above each threshold: `found`, of which `right` are
        positive, both (r, thresholds), of `total: (r,)`.
        """


class AveragePrecision(Separation):
    """Precision at each threshold, weighted by the recall it adds (scikit-learn's)."""

    called: ClassVar[str] = "Average precision"

    def measured(self, right: Doubles, found: Doubles, total: Doubles) -> Doubles:
        """The area under the steps."""
        precision = np.divide(right, found, out=np.zeros_like(right), where=found > 0)
        gained = np.diff(right, axis=1, prepend=0.0)
        # weights are whole counts: below 1 only where the resample has no positive item
        average: Doubles = (precision * gained).sum(1) / np.maximum(right[:, -1], 1.0)
        return average


class BestF1(Separation):
    """F1 at the best threshold."""

    called: ClassVar[str] = "F1 at the best threshold"

    def measured(self, right: Doubles, found: Doubles, total: Doubles) -> Doubles:
        """2 right / (found + positive)."""
        best: Doubles = (2 * right / np.maximum(found + right[:, -1:], 1.0)).max(1)
        return best


class BestAccuracy(Separation):
    """Accuracy at the best threshold, which may call every item positive or none."""

    called: ClassVar[str] = "Accuracy at the best threshold"

    def measured(self, right: Doubles, found: Doubles, total: Doubles) -> Doubles:
        """The share of items on their own side."""
        negative = total[:, None] - right[:, -1:]
        above = (right + negative - (found - right)).max(1)
        # a threshold above all values, which calls none positive, has no column in `found`
        best: Doubles = np.maximum(above, negative[:, 0]) / total
        return best
