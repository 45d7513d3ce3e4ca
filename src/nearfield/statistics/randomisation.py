"""Could two systems' difference be chance?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nearfield.errors import InputError
from nearfield.statistics.finite import finite
from nearfield.types.arrays import Array, Doubles

PERMUTATIONS = 10_000  # the standard error of a p of .05 is then .002
RESOLVED = 25  # flips per row at least: the least p, times the number of rows, is then below .05
_CELLS = 4_000_000  # signs in a block: 32 MB


def paired_test(
    a: npt.ArrayLike, b: npt.ArrayLike, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> float:
    """p of the two-sided paired randomisation test that `a: (n,)` and `b: (n,)`, one value per
    query each, differ in their mean.

    Raises InputError where the lengths differ or are 0, and for a value that is not finite.
    """
    left = finite(a, "value of a")
    right = finite(b, "value of b")
    if left.shape != right.shape or left.size == 0:
        raise InputError(
            "a paired test wants the same queries on both sides, at least one; got "
            f"{left.size} and {right.size} values"
        )
    return float(paired_tests((left - right)[None, :], permutations=permutations, seed=seed)[0])


def paired_tests(
    differences: npt.ArrayLike, *, permutations: int | None = None, seed: int = 0
) -> Doubles:
    """p for each row of paired `differences: (r, n)`.

    Were the systems alike, each query's difference could as well have the other sign (Fisher 1935;
    Smucker et al. 2007 for retrieval). p is the share of sign flips whose mean is at least as far
    from 0: over all of them where the queries that differ have at most `permutations` flips, else
    over random ones as (count + 1) / (permutations + 1) (Phipson and Smyth 2010). All rows use the
    same flips, so a row's p does not depend on the other rows. Raises InputError for a difference
    that is not finite.
    """
    table = finite(differences, "difference")
    permutations = permutations or max(PERMUTATIONS, RESOLVED * len(table))
    p = np.ones(len(table))
    # a query without a difference has one sign only
    # and a row without any difference has one flip, itself, and a p of 1
    exact = (table != 0).sum(1) <= np.log2(permutations)
    for row in np.flatnonzero(exact):
        p[row] = _exact(table[row][table[row] != 0])
    sampled = table[~exact]
    if len(sampled):
        generator = np.random.default_rng(seed)
        rows = max(1, _CELLS // table.shape[1])
        counts = np.zeros(len(sampled))
        for start in range(0, permutations, rows):
            shape = min(rows, permutations - start), table.shape[1]
            flips = generator.integers(0, 2, shape) * 2.0 - 1.0
            counts += _at_least_as_far(flips, sampled)
        p[~exact] = (counts + 1) / (permutations + 1)
    return p


def _exact(differences: Doubles) -> float:
    """p over all flips: the bits of 0 to 2^n - 1."""
    n = len(differences)
    flips = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1) * 2.0 - 1.0
    return float(_at_least_as_far(flips, differences[None, :])[0] / 2**n)


def _at_least_as_far(flips: Array, differences: Doubles) -> Doubles:
    """For each row how many flips give a sum as far from 0 as its own; sums that differ only by
    rounding count as equal.
    """
    slack = 1e-9 * np.abs(differences).sum(1)
    sums = np.abs(flips @ differences.T)  # (flips, r)
    far = sums >= np.abs(differences.sum(1)) - slack
    counts: Doubles = far.sum(0).astype(np.float64)
    return counts
