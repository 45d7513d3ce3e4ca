"""What the terms of sparse vectors cost a search."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Wrapper


def flops(weights: Tensor) -> Tensor:
    """sum_j (mean_i |w_ij|)^2 over the terms j of the vectors i: `weights` (n, vocabulary), n at
    least 1. Returns a scalar.

    It stands for the multiplications that two such vectors need, since a term's mean weight stands
    for how often it is active; a term that all vectors share costs most. Paria et al. 2020 (arXiv
    2004.05665), section 3; Formal et al. 2021 (arXiv 2107.05720).
    """
    return weights.abs().mean(0).square().sum()


@dataclass(frozen=True)
class TermCosts(Wrapper):
    """`inner` + `share` times what the terms of the queries and of the documents cost, each text
    counted once: `query` and `document` weigh their FLOPS.

    Queries that are looked up keep the terms that they have, and cost nothing.
    """

    query: float
    document: float
    share: float = 1.0

    def __call__(self, examples: Examples) -> Tensor:
        value = self.inner(examples)
        cost: Tensor | float = 0.0
        if self.query and examples.distinct is not None:
            cost = cost + self.query * flops(examples.distinct.vectors)
        if self.document and len(examples.document):
            cost = cost + self.document * flops(examples.document.vectors)
        return value + self.share * cost
