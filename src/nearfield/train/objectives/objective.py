"""What training minimises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from nearfield.train.objectives.examples import Examples


class Objective(ABC):
    """A loss with its parameters; a wrapper takes another objective and is one itself.

    `rowwise`: the loss is the mean of one loss per row, so that it may be computed some rows at a
    time.
    """

    rowwise: bool = True

    @property
    @abstractmethod
    def needs(self) -> frozenset[str]:
        """The names of the columns of `Examples` that it reads."""

    @abstractmethod
    def __call__(self, examples: Examples) -> Tensor:
        """The loss of the examples: a scalar."""


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
