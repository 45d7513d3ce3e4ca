"""Quality against cost, from rows that were cut from one encode pass per model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from nearfield.statistics.differences import mean_differences
from nearfield.statistics.holm import holm
from nearfield.types.comparison import Row
from nearfield.types.evaluation.trade_off import AtCost, TradeOff

SHARES = (1.0, 3 / 4, 1 / 2, 3 / 8, 1 / 4, 3 / 16, 1 / 8, 1 / 12)
"""The shares of a vector that a trade-off measures."""
STORED = (
    "float32",
    "float16",
    "int8",
    "binary",
    "float32+float32",
    "int8+float32",
    "int8+int8",
    "binary+float32",
    "binary+int8",
)
"""How it stores them: by one type, or found by one and scored again by the other."""


def trade_off(rows: Sequence[Row]) -> TradeOff:
    """The frontier of rows, best first, and their models at the same cost, each tested against the
    best at that cost.

    The limits are the bytes of the frontier and the milliseconds of each model's slowest row. A row
    whose cost is not known takes no part. The best row of a model is chosen on the items that it is
    tested on, as a reader of the table would.
    """
    frontier: list[Row] = []
    sized = [row for row in rows if row.bytes_per_document > 0]
    # of rows of equal size the best comes first, so that the others do not join
    for row in sorted(sized, key=lambda row: (row.bytes_per_document, -row.estimate.mean)):
        if not frontier or row.estimate.mean > frontier[-1].estimate.mean:
            frontier.append(row)
    found: list[AtCost] = []
    for limit in [row.bytes_per_document for row in frontier]:
        fitting = [row for row in sized if row.bytes_per_document <= limit]
        found += _best_each(fitting, "bytes", limit)
    found += _at_milliseconds(rows)
    # one correction over the tests at every cost
    corrected = holm([p for each in found for p in each.p_holm]).tolist()
    at_cost = []
    for each in found:
        own = tuple(corrected[: len(each.p_holm)])
        corrected = corrected[len(own) :]
        at_cost.append(replace(each, p_holm=own))
    return TradeOff(tuple(row.name for row in frontier), tuple(at_cost))


def _at_milliseconds(rows: Sequence[Row]) -> Iterator[AtCost]:
    timed: list[tuple[float, Row]] = []
    slowest: dict[str, float] = {}
    for row in rows:
        wait = row.query_milliseconds
        if wait is not None:
            timed.append((wait, row))
            slowest[row.model] = max(slowest.get(row.model, 0.0), wait)
    for limit in sorted(slowest.values()):
        yield from _best_each([row for wait, row in timed if wait <= limit], "ms", limit)


def _best_each(fitting: Sequence[Row], unit: str, limit: float) -> Iterator[AtCost]:
    """The best of each model, p not corrected yet; nothing for one model alone or values that mean
    nothing by item.
    """
    best: dict[str, Row] = {}
    for row in fitting:  # best first
        best.setdefault(row.model, row)
    first, *others = best.values()
    if not others or not first.per_query:
        return
    values = np.array([other.per_query for other in others])
    behind, p = mean_differences(np.array(first.per_query) - values)
    names = tuple(row.name for row in best.values())
    yield AtCost(unit, limit, names, tuple(behind), tuple(p.tolist()))
