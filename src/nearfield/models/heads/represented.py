"""What a loss sees of a batch: items that can be chosen by row, cut, and scored against each other,
all differentiably.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from torch import Tensor, nn

from nearfield.similarity.functions import similarity as similarity_named


class Represented(ABC):
    """n items of one kind on their way through a loss; `Embeddings` is what becomes of them after
    it.

    `fusion` weighs the scores of several kinds, where the items are represented in several.
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
    """One row an item, `vectors: (n, dim)`: a dense vector or the weights of all terms.

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
        """See Represented.scores."""
        scored: Tensor = similarity_named(self.similarity)(self.vectors, documents.vectors)
        return scored

    def truncate(self, dim: int) -> Rows:
        """See Represented.truncate, and Dense.truncate for how."""
        return replace(
            self,
            vectors=cut(self.vectors, dim, layer_norm=self.layer_norm, normalise=self.normalise),
        )


def cut(vectors: Tensor, dim: int, *, layer_norm: bool, normalise: bool) -> Tensor:
    """The first `dim` dimensions of `vectors: (n, whole)`, of layer_norm over the whole and at unit
    length where asked; as they are at the full dim.
    """
    if dim == vectors.shape[-1]:
        return vectors
    whole = nn.functional.layer_norm(vectors, vectors.shape[-1:]) if layer_norm else vectors
    return nn.functional.normalize(whole[:, :dim], dim=-1) if normalise else whole[:, :dim]
