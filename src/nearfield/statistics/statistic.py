"""What a table of values per item says of its rows: a number each, and which rows differ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nearfield.statistics.bootstrap import mean_intervals
from nearfield.statistics.differences import mean_differences
from nearfield.types.arrays import Doubles
from nearfield.types.verdict import Estimate


@dataclass(frozen=True)
class Paired:
    """A row minus a later one: the difference with its interval, and the p that it is chance.

    `spread` is the standard deviation of one item's difference, which power is computed from.
    """

    difference: Estimate
    p: float
    spread: float


class Statistic(ABC):
    """A number made of one row's values, with its interval and a paired test of two rows.

    `note` is a line for the reader of a table, and `per_item` says whether an item's value means
    something on its own.
    """

    note: ClassVar[str] = ""
    per_item: ClassVar[bool] = True

    @abstractmethod
    def of(self, values: Doubles) -> float:
        """The number of one row, `values: (n,)`."""

    @abstractmethod
    def side_by_side(
        self, table: Doubles, pairs: list[tuple[int, int]]
    ) -> tuple[list[Estimate], list[Paired]]:
        """Each row of `table: (r, n)` with its interval, and the test of each of `pairs`."""


class Mean(Statistic):
    """The mean over items, whose values lie between `low` and 1: bootstrap-t intervals and the
    paired randomisation test.
    """

    def __init__(self, low: float = 0.0) -> None:
        self.low = low

    def of(self, values: Doubles) -> float:
        """The mean."""
        return float(values.mean())

    def side_by_side(
        self, table: Doubles, pairs: list[tuple[int, int]]
    ) -> tuple[list[Estimate], list[Paired]]:
        """Intervals lie within the values' bounds."""
        estimates = mean_intervals(table, bounds=(self.low, 1.0))
        if not pairs:
            return estimates, []
        differences = np.stack([table[a] - table[b] for a, b in pairs])
        most = 1.0 - self.low  # of two values at opposite ends
        means, p = mean_differences(differences, bounds=(-most, most))
        count = differences.shape[1]
        spreads = differences.std(1, ddof=1) if count > 1 else np.zeros(len(pairs))
        found = zip(means, p.tolist(), spreads.tolist(), strict=True)
        return estimates, [Paired(*each) for each in found]
