"""What training minimises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nearfield.train.objectives.examples import Examples


class Objective(ABC):
    """A loss with its parameters; a wrapper takes another objective and is one itself.

    `rowwise`: the loss is the mean of one loss per row, so that it may be computed some rows at a
    time. `one_vector`: it reads an item's vector, so that an item must have one. `cuts`: it may be
    computed of vectors that are cut to their first dimensions.
    """

    rowwise: bool = True
    one_vector: bool = False
    cuts: bool = True

    @property
    @abstractmethod
    def needs(self) -> frozenset[str]:
        """The names of the columns of `Examples` that it reads."""

    def learns(self, dim: int, guide: int) -> Mapping[str, Tensor]:
        """What is learned beside the model, by name, as training begins, and as a buffer what
        `remember` changes: `dim` is that of the model's vectors and `guide` that of its guide's, 0
        where there is none.
        """
        return {}

    @abstractmethod
    def __call__(self, examples: Examples) -> Tensor:
        """The loss of the examples: a scalar."""

    def remember(self, examples: Examples) -> None:  # noqa: B027 - most keep nothing
        """Keep what later steps need of these examples, in their `learned`."""


@dataclass(frozen=True)
class Wrapper(Objective):
    """An objective made of another; `adds` are the columns that it reads besides."""

    inner: Objective

    adds = frozenset[str]()

    @property
    def needs(self) -> frozenset[str]:
        return self.inner.needs | self.adds

    @property
    def rowwise(self) -> bool:  # type: ignore[override]
        return self.inner.rowwise

    def learns(self, dim: int, guide: int) -> Mapping[str, Tensor]:
        return self.inner.learns(dim, guide)

    def remember(self, examples: Examples) -> None:
        self.inner.remember(examples)


def random_layer(out: int, into: int) -> Tensor:
    """(out, into), the weights that a linear layer begins with, always the same: between
    -1 / sqrt(into) and 1 / sqrt(into).
    """
    # as torch's nn.Linear begins
    generator = torch.Generator().manual_seed(0)
    weights = torch.empty(out, into)
    return weights.uniform_(-(into**-0.5), into**-0.5, generator=generator)
