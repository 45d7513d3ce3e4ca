"""A temperature that is learned beside the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from nearfield.errors import InputError
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Wrapper

LEAST = 0.01  # below it, CLIP found training to become unstable
NAME = "log_temperature"


@dataclass(frozen=True)
class LearnedTemperature(Wrapper):
    """`inner` at the exponential of a number that is learned, at least `least_of`; it begins at the
    temperature of `inner`.

    Radford et al. 2021 (arXiv 2103.00020), section 2.5. Raises InputError for an objective without
    a temperature.
    """

    def __post_init__(self) -> None:
        if "temperature" not in self.inner.__dataclass_fields__:  # type: ignore[attr-defined]
            raise InputError(
                "objective.learn_temperature is for an objective with a temperature; this one has "
                "none"
            )

    def learns(self, dim: int, guide: int) -> Mapping[str, Tensor]:
        """See Objective.learns."""
        # the logarithm, so that no step makes it negative
        begins: float = self.inner.temperature  # type: ignore[attr-defined]
        return {**self.inner.learns(dim, guide), NAME: torch.tensor(math.log(begins))}

    def __call__(self, examples: Examples) -> Tensor:
        inner: Any = self.inner
        least = least_of(inner.temperature)
        temperature = examples.learned[NAME].exp().clamp(min=least)
        value: Tensor = replace(inner, temperature=temperature)(examples)
        return value


def least_of(begins: float) -> float:
    """The least that a temperature becomes: `LEAST`, or a bit less than where it begins, so that it
    can leave its first value.
    """
    return min(LEAST, begins * 0.999)
