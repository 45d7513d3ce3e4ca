"""The items of a comparison cut by their traits: where does the order flip?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from nearfield.statistics.differences import mean_difference
from nearfield.types.arrays import Mask
from nearfield.types.comparison import Row
from nearfield.types.evaluation.slices import Slice

Traits = Mapping[str, Sequence[float] | Sequence[str]]
LEAST = 10  # items of a slice; of fewer, little could be said


def slices(rows: Sequence[Row], traits: Traits) -> tuple[Slice, ...]:
    """Each slice of at least 10 items, by `traits`: a value for each item, by the trait's name.

    Numbers are cut into thirds, and of words each is a slice. `rows` are best first; none whose
    items have no value of their own gives slices.
    """
    if not rows or not all(row.per_query for row in rows):
        return ()
    table = np.array([row.per_query for row in rows])
    found = []
    for by, values in traits.items():
        for name, mask in _parts(values):
            # a trait that all items share cuts nothing off
            if LEAST <= mask.sum() < len(mask):
                found.append(_slice(rows, table[:, mask], by, name))
    # Bonferroni's, over every other row in every slice: the one that is ahead was looked for
    tests = len(found) * (len(rows) - 1)
    for at, each in enumerate(found):
        if each.p is not None:
            found[at] = replace(each, p=min(1.0, each.p * tests))
    return tuple(found)


def _slice(rows: Sequence[Row], table: np.ndarray, by: str, name: str) -> Slice:
    means = table.mean(1)
    order = np.argsort(-means, kind="stable")
    named = {rows[at].name: float(means[at]) for at in order}
    here = Slice(by, name, table.shape[1], named)
    first = int(order[0])
    # rows are best first, so row 0 is the best of all
    if means[first] <= means[0]:
        return here
    ahead, p = mean_difference(table[first] - table[0])
    return replace(here, ahead=ahead, p=p)


def _parts(values: Sequence[float] | Sequence[str]) -> Iterator[tuple[str, Mask]]:
    known = np.array(values)
    if known.dtype.kind not in "fiu":
        for name in sorted(set(known.tolist())):
            yield name, known == name
        return
    # "lower" takes a value that there is, so that equal values stay in one slice
    low, high = np.quantile(known, [1 / 3, 2 / 3], method="lower")
    for mask in (known <= low, (known > low) & (known <= high), known > high):
        if mask.any():
            yield f"{known[mask].min():.3g} to {known[mask].max():.3g}", mask
