"""Statistics that are no mean over items, with their percentile bootstrap."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from nearfield.statistics.bootstrap import resampled
from nearfield.statistics.finite import finite
from nearfield.statistics.statistic import Paired, Statistic
from nearfield.types.arrays import Doubles
from nearfield.types.verdict import Estimate

RESAMPLES = 2_000


class Resampled(Statistic):
    """A number made of all of a row's values, whose uncertainty is that over `items` items.

    An item may have several values, or one: a subclass says how the weight of each item, which is
    how often a resample holds it, enters `weighted`.
    """

    per_item: ClassVar[bool] = False
    called: ClassVar[str] = "This measure"
    low: ClassVar[float] = -1.0
    """The least value there is; the most is 1."""
    biased: ClassVar[bool] = False
    """Whether resamples, which repeat items, tend to another number than the items themselves; they
    are shifted to it.
    """

    def __init__(self, items: int) -> None:
        self.items = items

    @property
    def note(self) -> str:  # type: ignore[override]
        """What the reader of a table must know."""
        return (
            f"{self.called} is not a mean over items: its intervals and tests use the "
            "percentile bootstrap, paired where two rows are compared."
        )

    @abstractmethod
    def weighted(self, values: Doubles, weights: Doubles) -> Doubles:
        """The number of one row in each resample, (r,), by its items' `weights: (r, items)`."""

    def of(self, values: Doubles) -> float:
        """The number of one row, each item once. Raises InputError for a value that is not
        finite.
        """
        checked = finite(values, "similarity")
        return float(self.weighted(checked, np.ones((1, self.items)))[0])

    def side_by_side(
        self, table: Doubles, pairs: list[tuple[int, int]]
    ) -> tuple[list[Estimate], list[Paired]]:
        """Percentile intervals over resamples of the items, the same ones for all rows.

        A difference's p is twice the share of resamples, plus one, in which it is not on the
        observed side.
        """
        observed = [self.of(row) for row in table]
        blocks = []
        for weights in resampled(self.items, RESAMPLES, seed=0):
            blocks.append(np.stack([self.weighted(row, weights) for row in table], axis=1))
        drawn = np.concatenate(blocks)  # (RESAMPLES, r)
        if self.biased:
            # repeated texts agree with themselves: V-measure's .545 had [.552, .578] unshifted
            # (docs/log.md, Eight task categories)
            drawn += np.array(observed) - drawn.mean(0)
        # the shift may have taken some past the bounds
        bounded = drawn.clip(self.low, 1.0)
        estimates = [_estimate(value, bounded[:, row]) for row, value in enumerate(observed)]
        tests = []
        for a, b in pairs:
            difference = observed[a] - observed[b]
            resamples = drawn[:, a] - drawn[:, b]
            # as if it were a mean over items, whose standard error falls with their square root
            spread = float(resamples.std() * np.sqrt(self.items))
            estimate = _estimate(difference, resamples)
            tests.append(Paired(estimate, _p(difference, resamples), spread))
        return estimates, tests


def _estimate(mean: float, drawn: Doubles) -> Estimate:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(mean), float(low), float(high))


def _p(observed: float, drawn: Doubles) -> float:
    if observed == 0:
        return 1.0
    other_side = min((drawn <= 0).sum(), (drawn >= 0).sum())
    return float(min(1.0, 2 * (other_side + 1) / (len(drawn) + 1)))
