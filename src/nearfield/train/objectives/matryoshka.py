"""An objective at several dimensions at once."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Wrapper


@dataclass(frozen=True)
class Matryoshka(Wrapper):
    """The mean of `inner` over the items' first `dim` dimensions, for each of `dims`.

    Items are cut by `Represented.truncate`, as they are when they are embedded. Kusupati et al.
    2022 (arXiv 2205.13147), equation 1, with equal weights.
    """

    dims: tuple[int, ...]

    def __call__(self, examples: Examples) -> Tensor:
        total: Tensor | float = 0.0
        for dim in self.dims:
            total = total + self.inner(examples.truncated(dim))
        assert isinstance(total, Tensor)
        return total / len(self.dims)
