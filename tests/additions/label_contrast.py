"""A loss on labels: a text's neighbours should carry its label."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Objective


def label_contrast(scores: Tensor, label: Tensor, *, temperature: float) -> Tensor:
    """-mean_i log sum_j p_ij over the other texts j of i's label, p_i = softmax_j(s_ij / t).

    `scores`: (B, B), the texts' similarities; `label`: (B,). A text without another of its label is
    left out. Goldberger et al. 2004, neighbourhood components analysis.
    """
    itself = torch.eye(len(label), dtype=torch.bool, device=label.device)
    same = (label[:, None] == label[None, :]) & ~itself
    logs = (scores / temperature).masked_fill(itself, -torch.inf).log_softmax(-1)
    found = logs.masked_fill(~same, -torch.inf)[same.any(-1)]
    return -torch.logsumexp(found, -1).mean() if len(found) else scores.sum() * 0


@dataclass(frozen=True)
class LabelContrast(Objective):
    """The rows' queries by their labels."""

    temperature: float = 0.05

    needs = frozenset({"label"})
    rowwise = False

    def __call__(self, examples: Examples) -> Tensor:
        scores = examples.query.scores(examples.query)
        return label_contrast(scores, examples.column("label"), temperature=self.temperature)
