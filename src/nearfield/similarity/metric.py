"""What it costs to compare a model's vectors by another similarity than its own."""

from __future__ import annotations

import warnings

import numpy as np

from nearfield.errors import MetricWarning
from nearfield.similarity.functions import similarity
from nearfield.types.arrays import Array
from nearfield.types.contract import Contract

_TOLERANCE = 1e-6  # scores that differ by less are a tie


def warn_of_metric(contract: Contract, metric: str, *, query: Array, document: Array) -> None:
    """Warn with MetricWarning when `metric` is not the contract's, with the cost measured on
    `query: (n, dim)` and `document: (m, dim)`.

    The cost is the share of document pairs that a query orders the other way. Raises ContractError
    for an unknown metric.
    """
    asked = similarity(metric)
    if metric == contract.similarity:
        return
    turned, compared = turned_pairs(
        similarity(contract.similarity)(query, document), asked(query, document)
    )
    cost = (
        f"of {compared:,} pairs of texts, {turned:,} ({turned / max(1, compared):.1%}) come in "
        "the other order"
    )
    if contract.normalise:
        cost += (
            "; its vectors have unit length, so that cosine, dot and euclidean order alike "
            "and only the values differ"
        )
    warnings.warn(
        f"{contract.name} is made for {contract.similarity} and {metric} was asked for: {cost}",
        MetricWarning,
        stacklevel=2,
    )


def turned_pairs(own: Array, other: Array) -> tuple[int, int]:
    """Of all pairs of columns in the rows of two score matrices (n, m): how many come in opposite
    orders, and how many there are.

    Differences within `_TOLERANCE` count as ties, which are in no order.
    """
    rows, columns = own.shape
    turned = 0
    for a, b in zip(own, other, strict=True):  # one row at a time: (m, m), never (n, m, m)
        opposite = _signs(a) * _signs(b) < 0
        turned += int(opposite.sum()) // 2  # each pair is there twice, as (i, j) and (j, i)
    return turned, rows * columns * (columns - 1) // 2


def _signs(row: Array) -> Array:
    difference = row[:, None] - row[None, :]
    signs: Array = np.sign(difference) * (np.abs(difference) > _TOLERANCE)
    return signs
