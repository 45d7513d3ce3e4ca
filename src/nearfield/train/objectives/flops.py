"""What the terms of sparse vectors cost a search."""

from __future__ import annotations

from torch import Tensor


def flops(weights: Tensor) -> Tensor:
    """sum_j (mean_i |w_ij|)^2 over the terms j of the vectors i: `weights` (n, vocabulary), n at
    least 1. Returns a scalar.

    It stands for the multiplications that two such vectors need, since a term's mean weight stands
    for how often it is active; a term that all vectors share costs most. Paria et al. 2020 (arXiv
    2004.05665), section 3; Formal et al. 2021 (arXiv 2107.05720).
    """
    return weights.abs().mean(0).square().sum()
