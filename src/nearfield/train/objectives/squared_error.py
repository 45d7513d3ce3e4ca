"""The squared error of similarities."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from nearfield.errors import InputError
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Objective


@dataclass(frozen=True)
class SquaredError(Objective):
    """mean_i (s(q_i, d_p(i)) - score_i)^2: the model's similarity of each row's query and positive
    is to be the row's score, which lies in -1..1, as a cosine does.

    Reimers & Gurevych 2019 (arXiv 1908.10084), the regression objective.
    """

    needs = frozenset({"positive", "score"})

    def __call__(self, examples: Examples) -> Tensor:
        score = examples.column("score")
        if bool((score.abs() > 1).any()):
            raise InputError(
                "squared-error learns from pairs whose score is a cosine, -1 to 1; divide the "
                "scores, or name cosent or angle, to which only their order matters"
            )
        return nn.functional.mse_loss(examples.own_scores, score)
