"""What a model makes of its backbone's token states."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from nearfield.batch.packed import Packed
from nearfield.formats.model_folder import ModelFolder
from nearfield.models.heads.layer import Layer
from nearfield.models.heads.represented import Represented
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Integers

if TYPE_CHECKING:
    from torch import Tensor

Output = Any
"""A tensor or an array, of a head of several parts a tuple of them."""
Made = TypeVar("Made", bound=Output)


@dataclass(frozen=True)
class Given:
    """What a head is opened for: a folder, whose backbone gives states of `hidden` dimensions and
    takes token ids below `vocabulary` (0 where they are not known); `whole` is transformers' model.
    """

    folder: ModelFolder
    hidden: int = 0
    vocabulary: int = 0
    whole: Any = None


class Head(ABC, Generic[Made]):
    """Token states to one kind of representation, in numpy and in torch alike.

    `kind` is that of the `Embeddings` it ends in, `Made` what it makes on the way there. `task` is
    what transformers' model is opened for. `weights`: what the score of each part of fused
    embeddings counts for, None for any other kind. `skips`: how many tokens of a text, from its
    first, get no vector. `objective` is the one that it is trained with where a recipe names none.
    `light`: it is little work after a backbone. `layout`: what its folders are written as, one of
    `nearfield.models.saving.WRITERS`. `projections`: the Dense modules that vectors go through, in
    their order.
    """

    kind: ClassVar[str]
    task: ClassVar[str] = ""
    objective: ClassVar[str] = "infonce"
    light: ClassVar[bool] = False
    skips: ClassVar[int] = 0
    layout: ClassVar[str] = "pooled"
    weights: Mapping[str, float] | None = None
    projections: Sequence[Layer] = ()

    @classmethod
    @abstractmethod
    def open(cls, given: Given) -> Self:
        """The head that a folder's files describe. Its weights are numpy arrays until `train` is
        called. Raises ModelError where they do not fit.
        """

    @property
    def rates(self) -> Mapping[str, float]:
        """How many times the recipe's rate some of its weights learn at, by name."""
        return {}

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Its layers, by what stands before the names of their weights."""
        return {f"projections.{at}.": layer for at, layer in enumerate(self.projections)}

    def parameters(self) -> dict[str, Any]:
        """Every weight by name, as `projections.0.linear.weight`."""
        named = {}
        for prefix, layer in self.layers.items():
            for name, weight in layer.weights.items():
                named[prefix + name] = weight
        return named

    def train(self, device: Any) -> Self:
        """The same head with its weights as torch parameters on `device`."""
        for layer in self.layers.values():
            layer.train(device)
        return self

    def save(self, stage: Path, projections: Sequence[Path]) -> None:
        """Write what is not among the backbone's weights: the Dense modules into their folders
        `projections`, anything else into the model folder `stage`.
        """

    @abstractmethod
    def forward(self, states: Any, batch: Packed) -> Made:
        """What losses are computed of, differentiable, from `states: (T, hidden)`, those of the
        batch's tokens.

        Its shape is the kind's: (n, dim) where an item has one vector. A head of several parts
        gives a tuple of two or more.
        """

    def picked(self, batch: Packed) -> Integers | None:
        """The place in each sequence of the one token whose state `forward` looks at: (n,), or None
        where it looks at several.
        """
        return None

    @abstractmethod
    def embeddings(self, output: Made, batch: Packed) -> Embeddings:
        """The `Embeddings` of the batch's n items, in its order, from what `forward` gave
        for it. Raises ModelError for values that are not finite.
        """

    @abstractmethod
    def items(self, output: Made, parts: Sequence[Packed]) -> Represented:
        """The items of all parts as a loss takes them, from what `forward` gave for each part, laid
        end to end.
        """

    def represented(
        self, outputs: Sequence[Made], parts: Sequence[Packed], place: Tensor
    ) -> Represented:
        """The items of all parts as a loss takes them, from what `forward` gave for each part.

        `place: (m,)` int64 chooses and orders them: item i is sequence `place[i]` of the parts laid
        end to end.
        """
        return self.items(_end_to_end(outputs), parts)[place]


def _end_to_end(outputs: Sequence[Any]) -> Any:
    """The tensors of all outputs as one; of tuples, each part by itself."""
    if isinstance(outputs[0], tuple):
        return tuple(_end_to_end(part) for part in zip(*outputs, strict=True))
    # only losses come here: a runtime without torch opens the same head
    from torch import cat

    return cat(list(outputs))
