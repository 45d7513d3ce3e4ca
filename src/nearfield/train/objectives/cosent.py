"""CoSENT: pairs that are said to be more alike should score higher."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Objective


def cosent(similarity: Tensor, score: Tensor, *, temperature: float) -> Tensor:
    """log(1 + sum over pairs i, j with score_i > score_j of exp((s_j - s_i) / t)).

    `similarity`: (B,) of each pair's two texts; `score`: (B,), how alike they are said to be, of
    which only the order counts. Returns a scalar. Su 2022 (https://kexue.fm/archives/8847).
    """
    similarity = similarity / temperature
    differences = similarity[None, :] - similarity[:, None]
    wrong = differences.masked_fill(score[:, None] <= score[None, :], -torch.inf)
    # the 0 in front is the 1 of the sum
    return torch.logsumexp(torch.cat([wrong.new_zeros(1), wrong.flatten()]), 0)


@dataclass(frozen=True)
class CoSENT(Objective):
    """CoSENT of each row's query and positive."""

    temperature: float = 0.05

    needs = frozenset({"positive", "score"})
    rowwise = False

    def __call__(self, examples: Examples) -> Tensor:
        score = examples.column("score")
        return cosent(examples.own_scores, score, temperature=self.temperature)
