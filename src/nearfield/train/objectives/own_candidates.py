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
        own = examples.column("own")
        scores = examples.scores.gather(1, own.clamp(min=0))
        first = torch.zeros(len(own), dtype=torch.int64, device=own.device)
        return infonce_of_scores(scores, first, temperature=1.0, ignore=own < 0)
