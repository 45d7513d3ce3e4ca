"""An objective at several dimensions at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn.functional import kl_div

from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Wrapper


@dataclass(frozen=True)
class Matryoshka(Wrapper):
    """The mean of `inner` over the items' first `dim` dimensions, for each of `dims`, weighted by
    `weights`, equally where there are none.

    Items are cut by `Represented.truncate`, as they are when they are embedded. Kusupati et al.
    2022 (arXiv 2205.13147), equation 1.

    With `whole` above 0, cut items learn from whole ones instead: `whole` times the mean over rows
    of sum_j p_j (log p_j - log q_j), where q is the softmax of a cut's scores of all documents over
    `temperature` and p that of whole items'. No gradient goes through p: Li et al. 2024 (arXiv
    2402.14776, section 3.3) align a model's first layers with its last so.
    """

    dims: tuple[int, ...]
    weights: tuple[float, ...] = ()
    whole: float = 0.0
    temperature: float = 0.05

    def __call__(self, examples: Examples) -> Tensor:
        weights = self.weights or (1.0,) * len(self.dims)
        total: Tensor | float = 0.0
        for dim, weight in zip(self.dims, weights, strict=True):
            cut = examples.truncated(dim)
            if self.whole and dim < self.dims[0]:
                wanted = self._shares(examples.scores.detach())
                said = self._shares(cut.scores)
                loss = self.whole * kl_div(said, wanted, reduction="batchmean", log_target=True)
            else:
                loss = self.inner(cut)
            total = total + weight * loss
        assert isinstance(total, Tensor)
        return total / sum(weights)

    def _shares(self, scores: Tensor) -> Tensor:
        return (scores / self.temperature).log_softmax(-1)


def sampled(dims: tuple[int, ...], count: int, *, seed: int, step: int) -> tuple[int, ...]:
    """`count` of the dims, or all where `count` is 0: the first, which is the whole vector, always,
    and others drawn for each step.
    """
    if not 0 < count < len(dims):
        return dims
    drawn = np.random.default_rng([seed, step]).permutation(len(dims) - 1)[: count - 1]
    others = [dims[at + 1] for at in sorted(drawn.tolist())]
    return (dims[0], *others)
