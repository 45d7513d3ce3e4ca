"""Quality against cost, from rows that were cut from one encode pass per model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from nearfield.statistics.differences import mean_difference
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
    for row in sorted(rows, key=lambda row: (row.bytes_per_document, -row.estimate.mean)):
        if row.bytes_per_document > 0 and (
            not frontier or row.estimate.mean > frontier[-1].estimate.mean
        ):
            frontier.append(row)
    found = list(_at_bytes(rows, frontier)) + list(_at_milliseconds(rows))
    corrected = iter(holm([p for each in found for p in each.p_holm]).tolist())
    at_cost = [replace(each, p_holm=tuple(next(corrected) for _ in each.p_holm)) for each in found]
    return TradeOff(tuple(row.name for row in frontier), tuple(at_cost))


def _at_bytes(rows: Sequence[Row], frontier: Sequence[Row]) -> Iterator[AtCost]:
    for limit in [row.bytes_per_document for row in frontier]:
        yield from _best_each(
            [row for row in rows if 0 < row.bytes_per_document <= limit], "bytes", limit
        )


def _at_milliseconds(rows: Sequence[Row]) -> Iterator[AtCost]:
    slowest: dict[str, float] = {}
    for row in rows:
        if row.query_milliseconds is not None:
            slowest[row.model] = max(slowest.get(row.model, 0.0), row.query_milliseconds)
    for limit in sorted(slowest.values()):
        timed = [row for row in rows if row.query_milliseconds is not None]
        yield from _best_each(
            [row for row in timed if (row.query_milliseconds or 0.0) <= limit], "ms", limit
        )


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
    tests = [
        mean_difference(np.array(first.per_query) - np.array(other.per_query)) for other in others
    ]
    yield AtCost(
        unit,
        limit,
        tuple(row.name for row in best.values()),
        tuple(difference for difference, _ in tests),
        tuple(p for _, p in tests),
    )
