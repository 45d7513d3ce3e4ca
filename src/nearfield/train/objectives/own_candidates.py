"""InfoNCE over a query's own candidates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.infonce import infonce_of_scores
from nearfield.train.objectives.objective import Objective


@dataclass(frozen=True)
class OwnCandidates(Objective):
    """-mean_i log( exp(s_i0) / sum_j exp(s_ij) ) over each query's own candidates j, the positive
    first; a cross-encoder's logits need no temperature.

    Gao, Dai & Callan 2021 (arXiv 2101.08751), their localised contrastive estimation.
    """

    needs = frozenset({"own"})

    def __call__(self, examples: Examples) -> Tensor:
        scores, real = examples.candidates()
        first = scores.new_zeros(len(scores), dtype=torch.int64)
        return infonce_of_scores(scores, first, temperature=1.0, ignore=~real)
