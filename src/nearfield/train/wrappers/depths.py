"""An objective at two depths of the model at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from nearfield.errors import InputError
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Wrapper


@dataclass(frozen=True)
class Depths(Wrapper):
    """`inner` of the whole model, and `weight` times the same of its first layers alone.

    With Matryoshka within, all dims are learned at all depths. Li et al. 2024 (arXiv 2402.14776),
    section 3.
    """

    weight: float

    def __call__(self, examples: Examples) -> Tensor:
        assert examples.shallow is not None
        return self.inner(examples) + self.weight * self.inner(examples.shallow)


def drawn_depth(layers: int, *, seed: int, step: int) -> int:
    """How many layers a step takes beside all: 1 to one below all, drawn for each step. Raises
    InputError below two layers.
    """
    if layers < 2:
        raise InputError("objective.layer_weight is for a model of two layers or more")
    return int(np.random.default_rng([seed, step]).integers(1, layers))
