"""Dense, sparse and multi-vector representations of the same states (BGE-M3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from nearfield.batch.packed import Packed
from nearfield.models.heads.dense import DenseHead
from nearfield.models.heads.head import Head
from nearfield.models.heads.of_tokens import together
from nearfield.models.heads.represented import Represented
from nearfield.models.heads.token_vectors import TokenVectors
from nearfield.models.heads.token_weights import TokenWeights
from nearfield.similarity.fused import Fused


@dataclass(frozen=True)
class Together(Represented):
    """The same n items in each of several kinds, by the kind; `fusion` weighs their scores."""

    kinds: Mapping[str, Represented]
    fusion: Mapping[str, float]

    def __len__(self) -> int:
        return len(next(iter(self.kinds.values())))

    def __getitem__(self, rows: slice | Tensor) -> Together:
        return replace(self, kinds={kind: items[rows] for kind, items in self.kinds.items()})

    def scores_by_kind(self, documents: Together) -> dict[str, Tensor]:
        """The scores (n, m) of each kind alone."""
        return {kind: items.scores(documents.kinds[kind]) for kind, items in self.kinds.items()}

    def scores(self, documents: Together) -> Tensor:
        """See Represented.scores: the fused score, as that of `Fused`."""
        weighed = [
            self.fusion.get(kind, 0.0) * own for kind, own in self.scores_by_kind(documents).items()
        ]
        return torch.stack(weighed).sum(0)

    def truncate(self, dim: int) -> Together:
        """See Represented.truncate: the dense vectors are cut, and the others stay whole."""
        return replace(
            self,
            kinds={
                kind: items.truncate(dim) if kind == "dense" else items
                for kind, items in self.kinds.items()
            },
        )


class ThreeHeads(Head[tuple[Tensor, ...]]):
    """What `dense`, `sparse` and `multi_vector` make of the states, side by side; `weights` weigh
    their scores.

    Chen et al. 2024 (arXiv 2402.03216, section 3.2).
    """

    kind: ClassVar[str] = "several"
    objective: ClassVar[str] = "self-distillation"
    weights: Mapping[str, float]

    def __init__(
        self,
        dense: DenseHead,
        sparse: TokenWeights,
        multi_vector: TokenVectors,
        *,
        weights: Mapping[str, float],
    ) -> None:
        super().__init__()
        self.dense, self.sparse, self.multi_vector = dense, sparse, multi_vector
        self.weights = dict(weights)

    @property
    def rates(self) -> dict[str, float]:
        """See Head.rates."""
        return {f"sparse.{name}": rate for name, rate in self.sparse.rates.items()}

    def forward(self, states: Tensor, batch: Packed) -> tuple[Tensor, ...]:
        """See Head.forward: (n, dim), (T,) and (K, dims of a token), as the three give them."""
        return (
            self.dense(states, batch),
            self.sparse(states, batch),
            self.multi_vector(states, batch),
        )

    def embeddings(self, output: tuple[Tensor, ...], batch: Packed) -> Fused:
        """See Head.embeddings. Raises ModelError for vectors that are not finite."""
        vectors, weights, tokens = output
        made = (
            self.dense.embeddings(vectors, batch),
            self.sparse.embeddings(weights, batch),
            self.multi_vector.embeddings(tokens, batch),
        )
        return together(*made, self.weights, name=self.dense.contract.name)

    def represented(
        self, outputs: Sequence[tuple[Tensor, ...]], parts: Sequence[Packed], place: Tensor
    ) -> Together:
        """See Head.represented."""
        heads: tuple[Head[Tensor], ...] = (self.dense, self.sparse, self.multi_vector)
        made = zip(heads, zip(*outputs, strict=True), strict=True)
        return Together(
            {head.kind: head.represented(own, parts, place) for head, own in made}, self.weights
        )
