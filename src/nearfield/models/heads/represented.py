"""What a loss sees of a batch: items that can be chosen by row, cut, and scored against each other,
all differentiably.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from nearfield.similarity.functions import similarity as similarity_named

if TYPE_CHECKING:
    from torch import Tensor


class Represented(ABC):
    """n items of one kind on their way through a loss; `Embeddings` is what becomes of them after
    it.

    `fusion`: what the score of each part of fused items counts for, None for any other kind.
    """

    fusion: Mapping[str, float] | None = None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, rows: slice | Tensor) -> Self:
        """The items at `rows`, a slice or (m,) int64, in that order; an item may come more than
        once.
        """

    @abstractmethod
    def scores(self, documents: Any) -> Tensor:
        """The similarity of each of these n queries to each of m documents of the same kind: (n,
        m), higher is closer.
        """

    @abstractmethod
    def truncate(self, dim: int) -> Self:
        """The same items in their first `dim` dimensions, cut as the kind's `Embeddings` cut them;
        themselves at the full dim.
        """


@dataclass(frozen=True)
class Rows(Represented):
    """One row per item, `vectors: (n, dim)`: a dense vector or the weights of all terms.

    `similarity` compares two; `layer_norm` and `normalise` are the contract's and say how a vector
    is cut.
    """

    vectors: Tensor
    similarity: str = "cosine"
    layer_norm: bool = False
    normalise: bool = True

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, rows: slice | Tensor) -> Rows:
        return replace(self, vectors=self.vectors[rows])

    def scores(self, documents: Rows) -> Tensor:
        scored: Tensor = similarity_named(self.similarity)(self.vectors, documents.vectors)
        return scored

    def truncate(self, dim: int) -> Rows:
        """As Dense.truncate cuts them."""
        vectors = cut(self.vectors, dim, layer_norm=self.layer_norm, normalise=self.normalise)
        return replace(self, vectors=vectors)


@dataclass(frozen=True)
class FusedItems(Represented):
    """The same n items as each of `parts`, by name; `fusion` weighs their scores. The contract's
    dimensions are those of the part `cut`.
    """

    parts: Mapping[str, Any]
    fusion: Mapping[str, float] = field()  # and not the None of other kinds
    cut: str

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))

    def __getitem__(self, rows: slice | Tensor) -> FusedItems:
        return replace(self, parts={name: items[rows] for name, items in self.parts.items()})

    def scores_by_part(self, documents: FusedItems) -> dict[str, Tensor]:
        """The scores (n, m) of each part alone."""
        return {name: items.scores(documents.parts[name]) for name, items in self.parts.items()}

    def scores(self, documents: FusedItems) -> Tensor:
        """The fused score, as that of `Fused`."""
        # parts without a weight count for nothing
        fused: Any = 0
        for name, own in self.scores_by_part(documents).items():
            fused = fused + self.fusion.get(name, 0.0) * own
        scores: Tensor = fused
        return scores

    def truncate(self, dim: int) -> FusedItems:
        """The vectors of the part `cut` are cut, and the others stay whole."""
        parts = dict(self.parts)
        parts[self.cut] = parts[self.cut].truncate(dim)
        return replace(self, parts=parts)


def cut(vectors: Tensor, dim: int, *, layer_norm: bool, normalise: bool) -> Tensor:
    """The first `dim` dimensions of `vectors: (n, whole)`, of layer_norm over the whole and at unit
    length where asked; as they are at the full dim.
    """
    # as Dense.truncate: at the full dim not even the layer norm is applied
    if dim == vectors.shape[-1]:
        return vectors
    from torch.nn import functional

    if layer_norm:
        vectors = functional.layer_norm(vectors, vectors.shape[-1:])
    first = vectors[:, :dim]
    return functional.normalize(first, dim=-1) if normalise else first
