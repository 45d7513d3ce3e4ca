"""Triplets of a query, its positive and a negative."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Objective


def triplet(scores: Tensor, *, real: Tensor, margin: float) -> Tensor:
    """mean_i mean_j max(0, s_ij - s_i0 + margin) over the real j > 0.

    `scores`: (B, 1 + k), each query's similarity to its positive, which is first, and to its
    negatives; `real`: (B, 1 + k) bool, True where there is such a document. A query without
    negatives counts as 0. Returns a scalar. Schroff et al. 2015 (arXiv 1503.03832), equation 3, of
    similarities instead of distances.
    """
    counted = real[:, 1:]
    over = (scores[:, 1:] - scores[:, :1] + margin).clamp(min=0).masked_fill(~counted, 0.0)
    return (over.sum(-1) / counted.sum(-1).clamp(min=1)).mean()


@dataclass(frozen=True)
class Triplet(Objective):
    """Each row's query, positive and own negatives."""

    margin: float = 0.2

    needs = frozenset({"own"})

    def __call__(self, examples: Examples) -> Tensor:
        scores, real = examples.candidates()
        return triplet(scores, real=real, margin=self.margin)
