"""What a cloud of vectors is like: how spread out, along how many directions, how many hubs.

`vectors`: (n, dim) of unit length.
"""

from __future__ import annotations

import numpy as np

from nearfield.types.arrays import Doubles, Floats, Integers


def alignment(first: Floats, second: Floats) -> float:
    """The mean squared distance of the rows of two (n, dim), each a pair that belongs together: 0
    where they are equal (Wang and Isola 2020, equation 1).
    """
    return float(((first - second) ** 2).sum(1).mean())


def uniformity(products: Floats) -> float:
    """The logarithm of the mean of exp(-2 d^2) over the distances d of all pairs, from their dot
    products (n, n): lower is more evenly spread (Wang and Isola 2020, equation 2).
    """
    above = products[np.triu_indices(len(products), 1)].astype(np.float64)
    # of unit vectors d^2 = 2 (1 - cosine)
    return float(np.log(np.exp(-4 * (1 - above)).mean()))


def anisotropy(products: Floats) -> float:
    """The mean cosine of all pairs, from their dot products (n, n): 0 where no direction is
    preferred (Ethayarajh 2019).
    """
    return float(products[np.triu_indices(len(products), 1)].mean())


def effective_rank(vectors: Floats) -> float:
    """How many directions the vectors use: e to the entropy of the singular values, as shares of
    their sum (Roy and Vetterli 2007).
    """
    values: Doubles = np.linalg.svd(vectors.astype(np.float64), compute_uv=False)
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def nearest_neighbours(products: Floats, k: int) -> Integers:
    """(n, k) the rows nearest to each row, none of them itself, in any order; `products` (n, n)."""
    others = products.copy()
    np.fill_diagonal(others, -np.inf)
    return np.argpartition(-others, k - 1, axis=1)[:, :k].astype(np.int64)


def hubness(neighbours: Integers) -> float:
    """The skewness of how often each row is among the neighbours of others: above 0 where a few
    are everybody's (Radovanovic et al. 2010).
    """
    counts = np.bincount(neighbours.ravel(), minlength=len(neighbours)).astype(np.float64)
    spread = counts.std()
    if not spread:
        return 0.0
    return float((((counts - counts.mean()) / spread) ** 3).mean())


def in_common(first: Integers, second: Integers) -> float:
    """The share of its neighbours that a row has in both of two (n, k), on average."""
    # (n, k): whether each of the first's neighbours is among the second's
    shared = (first[:, :, None] == second[:, None, :]).any(2)
    return float(shared.mean())
