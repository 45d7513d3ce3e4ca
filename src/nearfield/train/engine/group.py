"""The processes that train one model together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TypeVar

from torch import Tensor

T = TypeVar("T")


class Group(ABC):
    """`size` processes, of which this one is number `rank` and trains on `device`; all call the
    same methods in the same order.

    Every process holds the whole model and sees the same batches; each embeds a part of them.
    """

    rank: int
    size: int
    device: str

    @abstractmethod
    def gather(self, own: Mapping[int, tuple[Tensor, ...]], count: int) -> list[tuple[Tensor, ...]]:
        """The `count` parts of all processes in order, some tensors each; `own` are this process's,
        by position: those at rank, rank + size, ...
        """

    @abstractmethod
    def add(self, weights: Iterable[Tensor]) -> None:
        """Put the sum over all processes into each weight's gradient, where none counts as zero."""

    @abstractmethod
    def share(self, tensors: Iterable[Tensor]) -> None:
        """Put process 0's values into each tensor."""

    @abstractmethod
    def agree(self, value: T) -> T:
        """Process 0's `value`, which can be pickled, in every process."""


class _Alone(Group):
    """The group of one process."""

    rank, size, device = 0, 1, "cpu"

    def gather(self, own: Mapping[int, tuple[Tensor, ...]], count: int) -> list[tuple[Tensor, ...]]:
        return [own[at] for at in range(count)]

    def add(self, weights: Iterable[Tensor]) -> None:
        return None

    def share(self, tensors: Iterable[Tensor]) -> None:
        return None

    def agree(self, value: T) -> T:
        return value


ALONE: Group = _Alone()
