"""How well labels that were found in several draws agree with the given ones."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from nearfield.statistics.resampled import Resampled
from nearfield.types.arrays import Doubles, Integers


class Labelling(Resampled):
    """The mean over draws of a measure of found against given labels.

    `gold: (items,)` are whole numbers from 0. A row's values are the labels found, draw after draw;
    `drawn: (draws, size)` names the item that each belongs to, which may be in a draw several
    times.
    """

    low: ClassVar[float] = 0.0
    biased: ClassVar[bool] = True

    def __init__(self, gold: npt.ArrayLike, drawn: npt.ArrayLike) -> None:
        self.gold = np.asarray(gold, np.int64)
        self.drawn = np.asarray(drawn, np.int64)
        super().__init__(len(self.gold))

    def weighted(self, values: Doubles, weights: Doubles) -> Doubles:
        """The measure in each resample."""
        found = values.astype(np.int64).reshape(self.drawn.shape)
        total = np.zeros(len(weights))
        draws = np.zeros(len(weights))
        for items, labels in zip(self.drawn, found, strict=True):
            # an item that a draw holds twice brings its weight twice
            own = weights[:, items]
            # a draw of few items may hold none of a resample's, and says nothing of it then
            held = own.any(1)
            total[held] += self.agreement(self.gold[items], labels, own[held])
            draws += held
        return total / np.maximum(draws, 1)

    @abstractmethod
    def agreement(self, gold: Integers, found: Integers, weights: Doubles) -> Doubles:
        """The measure of one draw, (r,), of labels (size,) with `weights: (r, size)`."""


class VMeasure(Labelling):
    """The harmonic mean of homogeneity and completeness (Rosenberg & Hirschberg 2007), which is
    mutual information over the mean of the two entropies.
    """

    called: ClassVar[str] = "V-measure"

    def agreement(self, gold: Integers, found: Integers, weights: Doubles) -> Doubles:
        """1 where both are one cluster."""
        total = weights.sum(1)
        # the joint entropy: each pair of labels as one number
        cells = _entropy(gold * (found.max() + 1) + found, weights, total)
        given = _entropy(gold, weights, total)
        clusters = _entropy(found, weights, total)
        both = given + clusters
        shared = np.maximum(both - cells, 0.0)  # mutual information, but for rounding
        split = both > 1e-12
        return np.where(split, 2 * shared / np.where(split, both, 1.0), 1.0)


class MacroF1(Labelling):
    """The mean over labels of F1, each counting alike (scikit-learn's); a label that is neither
    given nor found in a resample does not count.
    """

    called: ClassVar[str] = "F1"

    def agreement(self, gold: Integers, found: Integers, weights: Doubles) -> Doubles:
        """The mean of 2 right / (given + found)."""
        count = int(max(gold.max(), found.max())) + 1
        right = _sums(gold, weights * (gold == found), count)
        both = _sums(gold, weights, count) + _sums(found, weights, count)
        f1 = np.divide(2 * right, both, out=np.zeros_like(both), where=both > 0)
        mean: Doubles = f1.sum(1) / (both > 0).sum(1)
        return mean


def _entropy(labels: Integers, weights: Doubles, total: Doubles) -> Doubles:
    """The entropy in nats of the labels in each resample: (r,)."""
    names, places = np.unique(labels, return_inverse=True)
    shares = _sums(places, weights, len(names)) / total[:, None]
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    entropy: Doubles = -(shares * logs).sum(1)
    return entropy


def _sums(labels: Integers, weights: Doubles, count: int) -> Doubles:
    """The weight of each of `count` labels in each resample: (r, count)."""
    # by running sums over the sorted items: bincount takes one row of weights at a time
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(count))
    ends = np.append(starts[1:], len(labels))
    edges = np.zeros((len(weights), len(labels) + 1))
    np.cumsum(weights[:, order], axis=1, out=edges[:, 1:])
    sums: Doubles = edges[:, ends] - edges[:, starts]
    return sums
