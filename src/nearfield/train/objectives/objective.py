"""What training minimises."""

from __future__ import annotations

from abc import ABC, abstractmethod

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

    @classmethod
    def parameters(cls) -> list[str]:
        """The names of what it may be given, `temperature` aside, which every recipe has."""
        return [name for name in cls.__dataclass_fields__ if name != "temperature"]  # type: ignore[attr-defined]

    def at(self, share: float) -> Objective:
        """The objective where `share` of what terms cost counts."""
        return self
