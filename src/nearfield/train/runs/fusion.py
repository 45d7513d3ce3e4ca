"""What the score of each part counts for in the fused one, learnt from judged queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax

from nearfield.similarity.embeddings import Embeddings
from nearfield.train.data.pool import Pool

PRIOR = 3.0  # how much the present weights count for: about as that many queries (see docs/log.md)
LEAST = 20  # queries; fewer choose nothing

Parts = Mapping[str, Embeddings]
Weights = Mapping[str, float]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fusion:
    """`weights` of the parts by name, with the mean on the pool that they reach (`dev`), and what
    those `before` reached.
    """

    weights: dict[str, float]
    before: float
    dev: float


def fit_fusion(queries: Parts, documents: Parts, present: Weights, pool: Pool) -> Fusion:
    """The weights under which the pool's relevant documents are likeliest, by the embeddings of
    each part; the greatest of them is 1.

    A query's documents are drawn by the softmax of their fused scores, and relevant ones stand for
    how they ought to be (ListNet's top one probability: Cao et al. 2007, equation 4), which has one
    greatest likelihood over the weights, and one that all queries decide, however few of their
    rankings a change of weights turns. No weight is below 0, and the `present` ones are the prior.
    These stay where the measure's mean is lower with the new ones, and for fewer than LEAST
    queries.
    """
    scores = {name: _finite(part.scores(documents[name])) for name, part in queries.items()}
    if pool.own is not None:
        # a query's own document chooses no weight: it is put last, as a ranking leaves it out
        rows = np.flatnonzero(pool.own >= 0)
        for own in scores.values():
            own[rows, pool.own[rows]] = own[rows].min(1)
    before = pool.judged(_fused(scores, present)).mean
    wanted = _wanted(pool)
    if len(wanted) >= LEAST:
        weights = _likeliest(scores, present, wanted)
        dev = pool.judged(_fused(scores, weights)).mean
        if dev >= before:
            return Fusion(weights, before, dev)
    return Fusion(dict(present), before, before)


def _likeliest(
    scores: Mapping[str, npt.NDArray[np.float32]], present: Weights, wanted: Mapping[int, Floats]
) -> dict[str, float]:
    """The weights of the least cross-entropy of the softmax and the `wanted` shares, and of the
    least distance from the present ones' direction. Scores are taken in units of their standard
    deviation, so that neither depends on a head's scale.
    """
    spread = np.array([_spread(own) for own in scores.values()])
    rows = list(wanted)
    units = [own[rows] / unit for own, unit in zip(scores.values(), spread, strict=True)]
    each = np.stack(units, axis=-1).astype(np.float64)  # (n queries, m documents, k parts)
    target = np.stack(list(wanted.values()))  # (n, m)
    start = np.array([present.get(kind, 0.0) for kind in scores]) * spread
    # the length of the weights is the softmax's temperature, which no ranking depends on: the
    # prior holds their direction alone
    along = start / max(float(np.linalg.norm(start)), 1e-12)

    def loss(weights: Floats) -> tuple[float, Floats]:
        shares = log_softmax(each @ weights, axis=1)
        off = weights - (weights @ along) * along
        value = -(target * shares).sum() + PRIOR / 2 * off @ off
        slope = np.einsum("nm,nmk->k", np.exp(shares) - target, each) + PRIOR * off
        return float(value) / len(target), slope / len(target)

    bounds = [(0.0, None)] * len(start)
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x / spread
    greatest = found.max()
    if not greatest > 0:  # no head tells anything
        return dict(present)
    # six digits: the last ones are the optimiser's rounding, and a folder's file shows them
    shown = [float(f"{weight:.6g}") for weight in found / greatest]
    return dict(zip(scores, shown, strict=True))


def _spread(scores: npt.NDArray[np.float32]) -> float:
    """The scores' standard deviation; 1 where they are all the same but for rounding."""
    found = float(scores.std(dtype=np.float64))
    if found > 1e-6 * float(np.abs(scores).max(initial=0)):
        return found
    return 1.0


def _wanted(pool: Pool) -> dict[int, Floats]:
    """Of each query's row with a relevant document, what share of the probability every document of
    the pool ought to have.
    """
    place = {name: at for at, name in enumerate(pool.document_ids)}
    wanted = {}
    for row, query in enumerate(pool.query_ids):
        shares = np.zeros(len(place))
        for document, grade in pool.relevance.get(query, {}).items():
            if document in place:
                shares[place[document]] = max(0, grade)
        if shares.any():
            wanted[row] = shares / shares.sum()
    return wanted


def _finite(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The same with the least finite score for a document that has nothing to compare, which scores
    -inf.
    """
    known = np.isfinite(scores)
    if known.all():
        return scores
    least = scores[known].min() if known.any() else np.float32(0)
    return np.where(known, scores, least)


def _fused(
    scores: Mapping[str, npt.NDArray[np.float32]], weights: Weights
) -> npt.NDArray[np.float32]:
    parts = [np.float32(weights.get(kind, 0.0)) * own for kind, own in scores.items()]
    total: npt.NDArray[np.float32] = np.sum(parts, axis=0)
    return total
