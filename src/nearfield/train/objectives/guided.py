"""InfoNCE without the negatives that another model takes for positives."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.infonce import infonce_of_scores, likely_positives
from nearfield.train.objectives.objective import Objective


@dataclass(frozen=True)
class Guided(Objective):
    """InfoNCE that ignores each document to which the guide gives more than `above` times the score
    of the row's positive.

    Solatorio 2024 (arXiv 2402.16829), equation 3, with documents alone as negatives.
    """

    temperature: float = 0.05
    above: float = 1.0

    needs = frozenset({"positive", "ignore", "guide"})

    def __call__(self, examples: Examples) -> Tensor:
        scores = examples.scores
        positive = examples.column("positive")
        likely = likely_positives(examples.column("guide"), positive, above=self.above)
        ignore = examples.column("ignore") | likely
        return infonce_of_scores(scores, positive, temperature=self.temperature, ignore=ignore)
