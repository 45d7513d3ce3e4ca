"""Labelled texts: each against its farthest of the same label and its nearest of another."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Objective


def batch_hard(scores: Tensor, label: Tensor, *, margin: float) -> Tensor:
    """mean_i max(0, max_j s_ij - min_k s_ik + margin), j over texts of other labels and k over
    other texts of the same label.

    `scores`: (B, B), the texts' similarities; `label`: (B,) int64. A text that lacks either counts
    as 0. Returns a scalar. Hermans et al. 2017 (arXiv 1703.07737), equation 5, of similarities
    instead of distances.
    """
    same = label[:, None] == label[None, :]
    itself = torch.eye(len(label), dtype=torch.bool, device=label.device)
    farthest = scores.masked_fill(~same | itself, torch.inf).amin(1)
    nearest = scores.masked_fill(same, -torch.inf).amax(1)
    # -inf, and so 0, for a text that lacks either
    return (nearest - farthest + margin).clamp(min=0).mean()


@dataclass(frozen=True)
class BatchHard(Objective):
    """The rows' queries by their labels; documents are not looked at."""

    margin: float = 0.2

    needs = frozenset({"label"})
    rowwise = False

    def __call__(self, examples: Examples) -> Tensor:
        scores = examples.query.scores(examples.query)
        return batch_hard(scores, examples.column("label"), margin=self.margin)
