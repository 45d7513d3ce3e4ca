"""What a model makes of its backbone's token states."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from nearfield.batch.packed import Packed
from nearfield.models.heads.represented import Represented
from nearfield.similarity.embeddings import Embeddings

Output = Tensor | tuple[Tensor, ...]
Made = TypeVar("Made", bound=Output)


class Head(nn.Module, ABC, Generic[Made]):
    """Token states to one kind of representation; `kind` is that of the `Embeddings` it ends in,
    `Made` what it makes on the way there. `weights`: what the score of each part of fused
    embeddings counts for, None of any other kind.

    `objective` is the one that it is trained with where a recipe names none. `light`: it is little
    work after a backbone.
    """

    kind: ClassVar[str]
    objective: ClassVar[str] = "infonce"
    light: ClassVar[bool] = False
    weights: Mapping[str, float] | None = None

    @property
    def rates(self) -> Mapping[str, float]:
        """How many times the recipe's rate some of its weights learn at, by name."""
        return {}

    @abstractmethod
    def forward(self, states: Tensor, batch: Packed) -> Made:
        """What losses are computed of, differentiable, from `states: (T, hidden)`, those of the
        batch's tokens.

        Its shape is the kind's: (n, dim) where an item has one vector. A head of several parts
        gives a tuple of two or more.
        """

    def picked(self, batch: Packed) -> npt.NDArray[np.int64] | None:
        """Of each sequence the place of the one token whose state `forward` looks at: (n,), or None
        where it looks at several.
        """
        return None

    @abstractmethod
    def embeddings(self, output: Made, batch: Packed) -> Embeddings:
        """The `Embeddings` of the batch's n items, in its order, from what `forward` gave
        for it.
        """

    @abstractmethod
    def represented(
        self, outputs: Sequence[Made], parts: Sequence[Packed], place: Tensor
    ) -> Represented:
        """The items of all parts as a loss takes them, from what `forward` gave for each part.

        `place: (m,)` int64 chooses and orders them: item i is sequence `place[i]` of the parts laid
        end to end.
        """
