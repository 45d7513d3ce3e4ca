"""How well the order of a model's scores agrees with the order of people's."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import stats

from nearfield.statistics.bootstrap import resampled
from nearfield.statistics.finite import finite
from nearfield.statistics.statistic import Paired, Statistic
from nearfield.types.arrays import Doubles
from nearfield.types.verdict import Estimate

SPEARMAN = "Spearman"
RESAMPLES = 2_000


class Spearman(Statistic):
    """Spearman's rank correlation of a row's values with `gold: (n,)`, people's scores.

    Raises InputError for a score that is not finite.
    """

    note: ClassVar[str] = (
        "Spearman's correlation is not a mean over pairs: its intervals and tests use the "
        "percentile bootstrap, paired where two rows are compared."
    )
    per_item: ClassVar[bool] = False

    def __init__(self, gold: npt.ArrayLike) -> None:
        self.gold = finite(gold, "score")

    def of(self, values: Doubles) -> float:
        """The correlation; 0 where the values are all the same. Raises InputError for a value
        that is not finite.
        """
        ranks = stats.rankdata(finite(values, "similarity"))
        return float(_correlation(ranks[None], stats.rankdata(self.gold)[None])[0])

    def side_by_side(
        self, table: Doubles, pairs: list[tuple[int, int]]
    ) -> tuple[list[Estimate], list[Paired]]:
        """Percentile intervals over resamples of the items, the same ones for all rows.

        A difference's p is twice the share of resamples, plus one, in which it is not on the
        observed side.
        """
        observed = [self.of(row) for row in table]
        drawn = self._resampled(table)
        estimates = [_estimate(value, drawn[:, row]) for row, value in enumerate(observed)]
        tests = []
        for a, b in pairs:
            difference, resamples = observed[a] - observed[b], drawn[:, a] - drawn[:, b]
            spread = float(resamples.std() * np.sqrt(len(self.gold)))
            tests.append(
                Paired(_estimate(difference, resamples), _p(difference, resamples), spread)
            )
        return estimates, tests

    def _resampled(self, table: Doubles) -> Doubles:
        """The correlation of each row of `table` in each resample: (resamples, r)."""
        n = len(self.gold)
        blocks = []
        for weights in resampled(n, RESAMPLES, seed=0):
            items = np.tile(np.arange(n), len(weights))
            picked = np.repeat(items, weights.astype(np.int64).ravel()).reshape(len(weights), n)
            gold = stats.rankdata(self.gold[picked], axis=1)
            rows = [_correlation(stats.rankdata(row[picked], axis=1), gold) for row in table]
            blocks.append(np.stack(rows, axis=1))
        return np.concatenate(blocks)


def _correlation(a: Doubles, b: Doubles) -> Doubles:
    """Pearson's correlation of each row of `a` with the same row of `b`, both (r, n); 0 where a row
    is constant.
    """
    a = a - a.mean(1, keepdims=True)
    b = b - b.mean(1, keepdims=True)
    length = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    correlation: Doubles = (a * b).sum(1) / np.where(length > 0, length, 1.0)
    return correlation


def _estimate(mean: float, drawn: Doubles) -> Estimate:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(mean), float(low), float(high))


def _p(observed: float, drawn: Doubles) -> float:
    if observed == 0:
        return 1.0
    other_side = min((drawn <= 0).sum(), (drawn >= 0).sum())
    return float(min(1.0, 2 * (other_side + 1) / (len(drawn) + 1)))
