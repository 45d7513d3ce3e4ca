"""Where a comparison's order holds, and what its judgements leave open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nearfield.types.verdict import Estimate


@dataclass(frozen=True)
class Slice:
    """The items whose trait `by` is `name`, and each row's mean of the main measure on them, best
    first.

    Where another row than the comparison's best is first here, `ahead` is its mean minus the best
    one's, paired by item, and `p` that of the test, times the number of tests that might have been
    made: every other row's in every slice.
    """

    by: str
    name: str
    items: int
    means: Mapping[str, float]
    ahead: Estimate | None = None
    p: float | None = None


@dataclass(frozen=True)
class Holes:
    """A row's results within the main measure's cutoff that nobody has judged: their `share`, and
    the measure's mean if none of them were relevant, `low`, as it is reported, or all, `high`.
    """

    row: str
    depth: int
    share: float
    low: float
    high: float
