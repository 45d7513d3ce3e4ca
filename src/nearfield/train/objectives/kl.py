"""Distillation from a teacher's distribution over a query's candidates."""

from __future__ import annotations

import torch
from torch import Tensor


def kl(scores: Tensor, teacher: Tensor, *, real: Tensor) -> Tensor:
    """mean_i sum_j p_ij (log p_ij - log q_ij), where p_i is the softmax of the teacher's scores and
    q_i that of the student's.

    `scores`, `teacher`: (B, C), the scores of each query's C candidates, each divided by its
    temperature; `real`: (B, C) bool, True where there is such a candidate, one in each row at
    least. Returns a scalar. Hinton et al. 2015 (arXiv 1503.02531), section 2; over a query's
    candidates as in RocketQAv2 (Ren et al. 2021, arXiv 2110.07367).
    """
    left_out = ~real

    def log_shares(of: Tensor) -> Tensor:
        # 0 in place of -inf: p log p is 0 there, and 0 times infinity would not be
        shares = torch.log_softmax(of.masked_fill(left_out, -torch.inf), -1)
        return shares.masked_fill(left_out, 0.0)

    log_teacher = log_shares(teacher)
    share = log_teacher.exp().masked_fill(left_out, 0.0)
    return (share * (log_teacher - log_shares(scores))).sum(-1).mean()
