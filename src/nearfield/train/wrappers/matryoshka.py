"""An objective at several dimensions at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Wrapper


@dataclass(frozen=True)
class Matryoshka(Wrapper):
    """The mean of `inner` over the items' first `dim` dimensions, for each of `dims`, weighted by
    `weights`, equally where there are none.

    Items are cut by `Represented.truncate`, as they are when they are embedded. Kusupati et al.
    2022 (arXiv 2205.13147), equation 1.
    """

    dims: tuple[int, ...]
    weights: tuple[float, ...] = ()

    def __call__(self, examples: Examples) -> Tensor:
        weights = self.weights or (1.0,) * len(self.dims)
        total: Tensor | float = 0.0
        for dim, weight in zip(self.dims, weights, strict=True):
            total = total + weight * self.inner(examples.truncated(dim))
        assert isinstance(total, Tensor)
        return total / sum(weights)


def sampled(dims: tuple[int, ...], count: int, *, seed: int, step: int) -> tuple[int, ...]:
    """`count` of the dims, or all where `count` is 0: the first, which is the whole vector, always,
    and others drawn for each step.
    """
    if not 0 < count < len(dims):
        return dims
    drawn = np.random.default_rng([seed, step]).permutation(len(dims) - 1)[: count - 1]
    others = [dims[at + 1] for at in sorted(drawn.tolist())]
    return (dims[0], *others)
