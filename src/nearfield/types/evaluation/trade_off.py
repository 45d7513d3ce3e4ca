"""What quality costs: which rows are worth their size, and models at the same cost."""

from __future__ import annotations

from dataclasses import dataclass

from nearfield.types.verdict import Estimate


@dataclass(frozen=True)
class AtCost:
    """The best row of each model among those of at most `limit` `unit` ("bytes" per document or
    "ms" per query), best first.

    `behind` holds, for each of `names` after the first, the first one's mean minus its own, paired
    by item, and `p_holm` its p, corrected over all such tests of the comparison.
    """

    unit: str
    limit: float
    names: tuple[str, ...]
    behind: tuple[Estimate, ...]
    p_holm: tuple[float, ...]


@dataclass(frozen=True)
class TradeOff:
    """`frontier` names the rows, smallest first, that are better than every row of as few bytes;
    `at_cost` compares the models at the same bytes, then at the same milliseconds.
    """

    frontier: tuple[str, ...]
    at_cost: tuple[AtCost, ...] = ()
