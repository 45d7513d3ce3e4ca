"""Classes of pairs, told by a layer that is learned beside the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nearfield.errors import InputError
from nearfield.train.fields import checked
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Objective, random_layer


def softmax(first: Tensor, second: Tensor, which: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """-mean_i log softmax(W (u_i, v_i, |u_i - v_i|) + b) at the class of pair i.

    `first`, `second`: (B, dim); `which`: (B,) int64, each pair's class; `weight`: (classes, 3 dim);
    `bias`: (classes,). Returns a scalar. Reimers & Gurevych 2019 (arXiv 1908.10084), the
    classification objective.
    """
    features = torch.cat([first, second, (first - second).abs()], 1)
    return nn.functional.cross_entropy(features @ weight.T + bias, which)


@dataclass(frozen=True)
class Softmax(Objective):
    """Each row's query and positive, whose score is the number of their class, from 0."""

    classes: float = checked(3.0, range(2, 10_001).__contains__, "a whole number from 2 to 10,000")

    needs = frozenset({"positive", "score"})
    one_vector = True
    cuts = False

    def learns(self, dim: int, guide: int) -> Mapping[str, Tensor]:
        """See Objective.learns: the layer."""
        classes = int(self.classes)  # a recipe's parameters are all floats
        return {"weight": random_layer(classes, 3 * dim), "bias": torch.zeros(classes)}

    def __call__(self, examples: Examples) -> Tensor:
        score = examples.column("score")
        which = score.long()
        known = (which == score) & (which >= 0) & (which < self.classes)
        if not bool(known.all()):
            raise InputError(
                "softmax learns from pairs whose score is the number of their class, a whole "
                f"number from 0 to {self.classes - 1:.0f}; say how many there are in "
                "objective.parameters.classes"
            )
        given = examples.document[examples.column("positive")]
        learned = examples.learned
        return softmax(
            examples.query.vectors, given.vectors, which, learned["weight"], learned["bias"]
        )
