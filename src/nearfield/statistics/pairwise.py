"""All pairs of rows, and which of them are told apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from nearfield.statistics.holm import holm
from nearfield.statistics.letters import letters
from nearfield.statistics.power import detectable, needed
from nearfield.statistics.statistic import Statistic
from nearfield.statistics.tukey import tukey
from nearfield.types.arrays import Doubles
from nearfield.types.comparison import PairTest
from nearfield.types.verdict import Estimate

ALPHA = 0.05  # two rows whose corrected p is below are told apart
MOST = 40  # rows whose pairs are all tested; of more, each is tested against the best


def tell_apart(
    names: Sequence[str], table: Doubles, statistic: Statistic, items: int
) -> tuple[list[Estimate], list[PairTest], list[str]]:
    """Each row of `table: (r, n)`, the test of each pair of them, and each row's letters.

    `names` are best first. p is corrected by Holm over all pairs, and the items that a pair needs
    are counted at the level that the correction tests the pair at: 5 % over the number of pairs
    whose p is not smaller. `items` were asked.

    Of more than `MOST` rows each is tested against the best alone, and p is multiplied by the
    number of these tests: the chance that the row which is truly best is told apart from the one
    that looks best stays below 5 % (Hsu 1981). Those that are not told apart have the letter a.
    """
    rows = len(names)
    places = list(itertools.combinations(range(rows), 2))
    if rows > MOST:
        # pairs come in the order of their first row: these are the best row's
        places = places[: rows - 1]
    estimates, pairs = statistic.side_by_side(table, places)
    p = np.array([pair.p for pair in pairs])
    corrected = holm(p)
    # what Holm multiplies each p by: argsort twice gives ranks
    left = len(p) - np.argsort(np.argsort(p, kind="stable"), kind="stable")
    if rows > MOST:
        corrected = np.minimum(p * len(p), 1.0)
        left = np.full(len(p), len(p))
    # an analysis of variance is of values that mean something by item; two rows have one pair,
    # with nothing to correct for
    ranged = tukey(table) if statistic.per_item and 2 < rows <= MOST else None
    different = np.zeros((rows, rows), bool)
    tests = []
    for at, ((a, b), pair) in enumerate(zip(places, pairs, strict=True)):
        different[a, b] = corrected[at] < ALPHA
        different[b, a] = different[a, b]
        level = ALPHA / float(left[at])
        tests.append(
            PairTest(
                names[a],
                names[b],
                pair.difference,
                pair.p,
                float(corrected[at]),
                needed(pair.difference.mean, pair.spread, alpha=level),
                pair.spread,
                detectable(pair.spread, items, alpha=level),
                None if ranged is None else float(ranged[a, b]),
            )
        )
    if rows > MOST:
        return estimates, tests, ["" if other else "a" for other in different[0]]
    return estimates, tests, letters(different)
