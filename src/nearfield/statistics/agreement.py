"""How far two judges agree."""

from __future__ import annotations

import numpy as np

from nearfield.statistics.resampled import Resampled
from nearfield.types.arrays import Doubles
from nearfield.types.verdict import Estimate


class Kappa(Resampled):
    """Cohen's kappa of a row of grades and those of another judge, `other: (n,)`: agreement beyond
    what the judges' own shares of each grade would give (Cohen 1960). 0 where both gave one and the
    same grade to all, which shows nothing.
    """

    called = "Cohen's kappa"

    def __init__(self, other: Doubles) -> None:
        super().__init__(len(other))
        self.other = other

    def weighted(self, values: Doubles, weights: Doubles) -> Doubles:
        """(agreed - chance) / (1 - chance) in each resample."""
        grades = np.union1d(values, self.other)
        own = values[:, None] == grades  # (n, grades)
        others = self.other[:, None] == grades
        # the confusion matrix of each resample, as shares: (r, grades, grades)
        both = (own[:, :, None] & others[:, None, :]).reshape(self.items, -1)
        shares = weights @ both / weights.sum(1, keepdims=True)
        shares = shares.reshape(-1, len(grades), len(grades))
        agreed = np.trace(shares, axis1=1, axis2=2)
        chance = (shares.sum(2) * shares.sum(1)).sum(1)
        # at a chance of 1 both gave one grade alone, and 0 / 0 is 0
        beyond = np.where(chance < 1, agreed - chance, 0)
        most = np.where(chance < 1, 1 - chance, 1)
        found: Doubles = beyond / most
        return found


def kappa(first: Doubles, second: Doubles) -> Estimate:
    """Cohen's kappa of two judges' grades of the same n items, with its 95 % bootstrap interval."""
    return Kappa(second).side_by_side(first[None, :], [])[0][0]
