"""What a model makes of its backbone's token states."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from nearfield.batch.packed import Packed
from nearfield.similarity.embeddings import Embeddings


class Head(nn.Module, ABC):
    """Token states to one kind of representation; `kind` is that of the `Embeddings` it ends in."""

    kind: ClassVar[str]

    @abstractmethod
    def forward(self, states: Tensor, batch: Packed) -> Tensor:
        """What losses are computed of, differentiable, from `states: (T, hidden)`, those of the batch's tokens.

        Its shape is the kind's: (n, dim) where an item has one vector.
        """

    @abstractmethod
    def embeddings(self, output: Tensor, batch: Packed) -> Embeddings:
        """The `Embeddings` of the batch's n items, in its order, from what `forward` gave for it."""
