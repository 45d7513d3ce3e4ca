"""Vectors of tokens whose means come close to given vectors of texts: least squares, kept near
where they began.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from nearfield.similarity.functions import unit
from nearfield.types.arrays import Floats, Mask
from nearfield.types.progress import Progress

# tried in this order, each from where the one before ended
PENALTIES = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
HELD_OUT = 10  # one text in ten chooses the penalty and is never fitted to
# of conjugate gradients for each penalty: from where the one before ended, these bring the residual
# to about a hundredth
_STEPS = 12


@dataclass(frozen=True)
class Fit:
    """`start` and `table: (tokens, dim)`, the table before, scaled, and after; the penalty taken,
    and the mean cosine of the held-out texts with the teacher before and after.
    """

    start: Floats
    table: Floats
    penalty: float
    before: float
    after: float


def fit_means(
    means: csr_array,
    targets: Floats,
    start: Floats,
    *,
    progress: Progress,
) -> Fit:
    """The table E that minimises |A E - T|^2 + penalty |E - s E0|^2, with the penalty that held-out
    texts like best.

    `means`: A, (texts, tokens), whose rows sum to 1; `targets`: T, (texts, dim), unit length;
    `start`: E0, (tokens, dim). s scales E0 to T by least squares. Ridge regression (Hoerl & Kennard
    1970), solved by conjugate gradients, all dims at once. Every tenth text is held out, and its
    cosine with the target decides; without any gain E is s E0.
    """
    held = _held_out(targets)
    a = means[~held]
    t = targets[~held]
    a_held = means[held]
    t_held = targets[held]
    guess = a @ start
    scale = float((guess * t).sum() / max(float((guess * guess).sum()), 1e-12))
    base = (scale * start).astype(np.float32)
    # with E = base + X, the penalty is of X alone, and (A'A + penalty) X = A'(T - A base)
    change = np.zeros_like(base)
    right = (a.T @ (t - a @ base)).astype(np.float32)
    before = _closeness(a_held @ base, t_held)
    best = Fit(base, base, np.inf, before, before)
    transposed = a.T.tocsr()
    for done, penalty in enumerate(PENALTIES, 1):
        change = conjugate_gradients(a, transposed, penalty, right, change)
        closeness = _closeness(a_held @ (base + change), t_held)
        progress(done, len(PENALTIES), f"cosine with the teacher {closeness:.3f}")
        if closeness <= best.after:
            break  # from here on only the texts that are fitted to come closer
        best = Fit(base, base + change, penalty, before, closeness)
    return best


def conjugate_gradients(
    a: csr_array,
    transposed: csr_array,
    penalty: float,
    right: Floats,
    start: Floats,
    *,
    steps: int = _STEPS,
) -> Floats:
    """X (tokens, dim) near the solution of (A'A + penalty I) X = right, from `start`; each column
    takes steps of its own.
    """
    x = start.copy()
    residual = right - (transposed @ (a @ x) + penalty * x)
    direction = residual.copy()
    old = (residual * residual).sum(0)
    for _ in range(steps):
        image = transposed @ (a @ direction) + penalty * direction
        # a column that is solved has a length of 0 / 1e-30, and stays as it is
        length = old / np.maximum((direction * image).sum(0), 1e-30)
        x += length * direction
        residual -= length * image
        new = (residual * residual).sum(0)
        direction = residual + new / np.maximum(old, 1e-30) * direction
        old = new
    return x


def held_out_cosine(means: csr_array, targets: Floats, table: Floats) -> float:
    """The mean cosine of the texts that `fit_means` holds out with their targets."""
    held = _held_out(targets)
    return _closeness(means[held] @ table, targets[held])


def _held_out(targets: Floats) -> Mask:
    held: Mask = np.arange(len(targets)) % HELD_OUT == HELD_OUT - 1
    return held


def _closeness(vectors: Floats, targets: Floats) -> float:
    if len(targets):
        return float((unit(vectors) * unit(targets)).sum(1).mean())
    return 0.0
