"""Distillation from a teacher's margins."""

from __future__ import annotations

from torch import Tensor


def margin_mse(scores: Tensor, teacher: Tensor, *, real: Tensor) -> Tensor:
    """mean_i mean_j ((s_i0 - s_ij) - (t_i0 - t_ij))^2 over the real j > 0: how far each query's
    margins are from the teacher's.

    `scores`, `teacher`: (B, 1 + K), the student's and the teacher's score of each query's positive,
    which is first, and of its negatives; `real`: (B, 1 + K) bool, True where there is such a
    document. A query without negatives counts as 0. Returns a scalar. Hofstätter et al. 2020 (arXiv
    2010.02666), who have one negative a query.
    """
    apart = (scores[:, :1] - scores[:, 1:]) - (teacher[:, :1] - teacher[:, 1:])
    counted = real[:, 1:] & real[:, :1]
    squares = apart.square().masked_fill(~counted, 0.0)
    return (squares.sum(-1) / counted.sum(-1).clamp(min=1)).mean()
