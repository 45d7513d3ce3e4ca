"""All pairs of rows, and which of them are told apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from nearfield.statistics.holm import holm
from nearfield.statistics.letters import letters
from nearfield.statistics.power import detectable, needed
from nearfield.statistics.statistic import Statistic
from nearfield.types.arrays import Doubles
from nearfield.types.comparison import PairTest
from nearfield.types.verdict import Estimate

ALPHA = 0.05  # two rows whose corrected p is below are told apart


def tell_apart(
    names: Sequence[str], table: Doubles, statistic: Statistic, items: int
) -> tuple[list[Estimate], list[PairTest], list[str]]:
    """Each row of `table: (r, n)`, the test of each pair of them, and each row's letters.

    `names` are best first. p is corrected by Holm over all pairs, and the items that a pair needs
    are counted at the level that the correction tests the pair at: 5 % over the number of pairs
    whose p is not smaller. `items` were asked.
    """
    places = list(itertools.combinations(range(len(names)), 2))
    estimates, pairs = statistic.side_by_side(table, places)
    p = np.array([pair.p for pair in pairs])
    corrected = holm(p)
    left = len(p) - np.argsort(np.argsort(p, kind="stable"), kind="stable")
    different = np.zeros((len(names), len(names)), bool)
    tests = []
    for at, ((a, b), pair) in enumerate(zip(places, pairs, strict=True)):
        different[a, b] = different[b, a] = corrected[at] < ALPHA
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
            )
        )
    return estimates, tests, letters(different)
