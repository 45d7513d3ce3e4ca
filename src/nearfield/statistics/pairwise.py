"""All pairs of rows, and which of them are told apart."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from nearfield.statistics.holm import holm
from nearfield.statistics.letters import letters
from nearfield.types.comparison import PairTest
from nearfield.types.verdict import Estimate

ALPHA = 0.05  # two rows whose corrected p is below are told apart


def pairs_of(rows: int) -> list[tuple[int, int]]:
    """Positions of every pair of `rows` rows, the better one first."""
    return list(itertools.combinations(range(rows), 2))


def tell_apart(
    names: Sequence[str],
    differences: Sequence[Estimate],
    p: npt.NDArray[np.float64],
    needed: Callable[[int, float], int | None],
) -> tuple[list[PairTest], list[str]]:
    """The test of each pair of rows, in the order of `pairs_of`, and each row's letters; `names`
    are best first.

    `needed(pair, alpha)` counts the queries that would show the pair's difference; alpha is the
    level at which Holm's correction tests this pair: 5 % over the number of pairs whose p is not
    smaller. Raises InputError as `holm` does.
    """
    corrected = holm(p)
    left = len(p) - np.argsort(np.argsort(p, kind="stable"), kind="stable")
    different = np.zeros((len(names), len(names)), bool)
    tests = []
    for pair, (a, b) in enumerate(pairs_of(len(names))):
        different[a, b] = different[b, a] = corrected[pair] < ALPHA
        queries = needed(pair, ALPHA / float(left[pair]))
        tests.append(
            PairTest(
                names[a],
                names[b],
                differences[pair],
                float(p[pair]),
                float(corrected[pair]),
                queries,
            )
        )
    return tests, letters(different)
