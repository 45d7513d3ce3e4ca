"""What the score of each head counts for in the fused one, chosen on judged queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearfield.similarity.several import Several
from nearfield.train.pool import Pool

STEPS = 10  # of a head's share, from none to all
SURE = 3.0  # standard errors that a gain has to be above: the best of 66 that are all alike comes to 2.4 or so by chance
LEAST = 20  # queries; fewer choose nothing

Weights = Mapping[str, float]


@dataclass(frozen=True)
class Fusion:
    """`weights` of the heads by kind, with the mean on the pool that they reach (`dev`), and what those `before` reached."""

    weights: dict[str, float]
    before: float
    dev: float


def fit_fusion(queries: Several, documents: Several, pool: Pool) -> Fusion:
    """The weights with which the fused score ranks the pool's documents best for its queries, both as embedded.

    Tried are the present weights and every way to share the score out in tenths, each head's scores divided by their standard deviation
    first, so that a share says what a head decides. The best mean is taken, the first of equal ones, where it is SURE standard errors of
    the paired differences above what the present weights reach; otherwise, and for fewer than LEAST queries, these stay.
    """
    scores = {kind: _finite(part.scores(documents.parts[kind])) for kind, part in queries.parts.items()}
    before = pool.judged(_fused(scores, queries.fusion)).values
    kept, values = dict(queries.fusion), before
    for weights in _shared_out(scores) if len(before) >= LEAST else ():
        found = pool.judged(_fused(scores, weights)).values
        gain = found - before
        if found.mean() > max(values.mean(), before.mean() + SURE * gain.std() / np.sqrt(len(gain))):
            kept, values = weights, found
    return Fusion(kept, float(before.mean()), float(values.mean()))


def _finite(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The same with the least finite score for a document that has nothing to compare, which scores -inf."""
    known = np.isfinite(scores)
    return scores if known.all() else np.where(known, scores, scores[known].min() if known.any() else np.float32(0))


def _fused(scores: Mapping[str, npt.NDArray[np.float32]], weights: Weights) -> npt.NDArray[np.float32]:
    total: npt.NDArray[np.float32] = np.sum([np.float32(weights.get(kind, 0.0)) * own for kind, own in scores.items()], axis=0)
    return total


def _shared_out(scores: Mapping[str, npt.NDArray[np.float32]]) -> Iterator[dict[str, float]]:
    """Weights of all shares in steps of 1 / STEPS, the greatest of them 1."""
    spread = np.array([max(float(own.std()), 1e-12) for own in scores.values()])
    for first in range(STEPS + 1):
        for second in range(STEPS + 1 - first):
            weights = np.array([first, second, STEPS - first - second]) / spread
            yield {kind: round(float(weight), 6) for kind, weight in zip(scores, weights / weights.max(), strict=True)}
