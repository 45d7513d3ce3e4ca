"""The processes that train one model together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from torch import Tensor

T = TypeVar("T")


class Group:
    """`size` processes, of which this one is number `rank` and trains on `device`; all call the
    same methods in the same order. This is the group of one; `Distributed` is that of several.

    Every process holds the whole model and sees the same batches; each embeds a part of them.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    def gather(self, own: Mapping[int, tuple[Tensor, ...]], count: int) -> list[tuple[Tensor, ...]]:
        """The `count` parts of all processes in order, some tensors each; `own` are this process's,
        by position: those at rank, rank + size, ...
        """
        return [own[at] for at in range(count)]

    def add(self, weights: Iterable[Tensor]) -> None:
        """Put the sum over all processes into each weight's gradient, where none counts as zero."""

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Put process 0's values into each tensor."""

    def agree(self, value: T) -> T:
        """Process 0's `value`, which can be pickled, in every process."""
        return value


ALONE = Group()
