"""Pairs that belong together and pairs that do not."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from nearfield.errors import InputError
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Objective


def contrastive(similarity: Tensor, together: Tensor, *, margin: float) -> Tensor:
    """mean_i 1/2 d_i^2 over pairs that belong together, and 1/2 max(0, margin - d_i)^2 over the
    others, where d = 1 - similarity.

    `similarity`: (B,) of each pair's two texts; `together`: (B,) bool. Returns a scalar. Hadsell et
    al. 2006, equation 4, of cosine distances.
    """
    distance = 1 - similarity
    near = distance.square()
    far = (margin - distance).clamp(min=0).square()
    return 0.5 * near.where(together, far).mean()


def online_contrastive(similarity: Tensor, together: Tensor, *, margin: float) -> Tensor:
    """sum_i d_i^2 over pairs that belong together and are farther apart than the nearest of the
    others, and max(0, margin - d_i)^2 over the others nearer than the farthest of these.

    Where a batch has pairs of one kind alone, those beyond their mean count. Arguments as those of
    `contrastive`. Returns a scalar. Reimers & Gurevych, sentence-transformers' OnlineContrastive.
    """
    distance = 1 - similarity
    near = distance[together]
    far = distance[~together]
    # a pair is hard where one of the other kind lies on the wrong side of it
    farthest = near.max() if len(near) else far.mean()
    nearest = far.min() if len(far) else near.mean()
    pulled = near[near > nearest].square().sum()
    return pulled + (margin - far[far < farthest]).clamp(min=0).square().sum()


def belong_together(examples: Examples) -> Tensor:
    """(B,) bool: whether each row's score is 1. Raises InputError for scores besides 0 and 1."""
    score = examples.column("score")
    together = score == 1
    if not bool((together | (score == 0)).all()):
        raise InputError(
            "a contrastive loss learns from pairs with a score of 1, for two texts that belong "
            "together, or 0; for other scores name cosent, angle or squared-error"
        )
    return together


@dataclass(frozen=True)
class Contrastive(Objective):
    """Each row's query and positive, whose score is 1 where they belong together, and else 0."""

    margin: float = 0.5

    needs = frozenset({"positive", "score"})

    def __call__(self, examples: Examples) -> Tensor:
        return contrastive(examples.own_scores, belong_together(examples), margin=self.margin)


@dataclass(frozen=True)
class OnlineContrastive(Objective):
    """The hard ones of the rows alone."""

    margin: float = 0.5

    needs = frozenset({"positive", "score"})
    rowwise = False

    def __call__(self, examples: Examples) -> Tensor:
        return online_contrastive(
            examples.own_scores, belong_together(examples), margin=self.margin
        )
