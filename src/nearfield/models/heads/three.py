"""Dense, sparse and multi-vector representations of the same states (BGE-M3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from nearfield.batch.packed import Packed
from nearfield.formats.pooled_folder import TOKEN_HEADS
from nearfield.models.heads.dense import DenseHead
from nearfield.models.heads.head import Given, Head
from nearfield.models.heads.layer import Layer
from nearfield.models.heads.represented import FusedItems
from nearfield.models.heads.token_vectors import TokenVectors
from nearfield.models.heads.token_weights import TokenWeights
from nearfield.similarity.fused import Fused
from nearfield.types.contract import FUSION


class ThreeHeads(Head[tuple[Any, ...]]):
    """What `dense`, `sparse` and `multi_vector` make of the states, side by side; `weights` weigh
    their scores.

    Chen et al. 2024 (arXiv 2402.03216, section 3.2).
    """

    kind: ClassVar[str] = "several"
    objective: ClassVar[str] = "self-distillation"
    skips: ClassVar[int] = TokenVectors.skips
    weights: Mapping[str, float]

    def __init__(
        self,
        dense: DenseHead,
        sparse: TokenWeights,
        multi_vector: TokenVectors,
        *,
        weights: Mapping[str, float],
    ) -> None:
        self.dense = dense
        self.sparse = sparse
        self.multi_vector = multi_vector
        self.weights = dict(weights)

    @classmethod
    def open(cls, given: Given) -> ThreeHeads:
        """The dense head with the two that lie beside it. Terms are the backbone's token ids; those
        of special tokens weigh nothing.
        """
        return cls(
            DenseHead.open(given),
            TokenWeights.open(given),
            TokenVectors.open(given),
            weights=given.folder.contract.fusion or FUSION,
        )

    @property
    def heads(self) -> dict[str, Head[Any]]:
        """The three, by the names that their weights go by."""
        return {"dense": self.dense, "sparse": self.sparse, "multi_vector": self.multi_vector}

    @property
    def rates(self) -> Mapping[str, float]:
        return {f"sparse.{name}": rate for name, rate in self.sparse.rates.items()}

    @property
    def layers(self) -> Mapping[str, Layer]:
        found = {}
        for name, head in self.heads.items():
            for prefix, layer in head.layers.items():
                found[f"{name}.{prefix}"] = layer
        return found

    def save(self, stage: Path, projections: Sequence[Path]) -> None:
        """The two layers beside the dense head's, as FlagEmbedding reads them."""
        import torch

        self.dense.save(stage, projections)
        for head in (self.multi_vector, self.sparse):
            stored = head.layer.stored()
            # weight and bias, as torch names those of a bare nn.Linear
            named = {name.removeprefix("linear."): weight for name, weight in stored.items()}
            torch.save(named, stage / TOKEN_HEADS[head.kind])

    def forward(self, states: Any, batch: Packed) -> tuple[Any, ...]:
        """(n, dim), (T,) and (K, dims of a token), as the three give them."""
        return tuple(head.forward(states, batch) for head in self.heads.values())

    def embeddings(self, output: tuple[Any, ...], batch: Packed) -> Fused:
        made = zip(self.heads.values(), output, strict=True)
        parts = {head.kind: head.embeddings(own, batch) for head, own in made}
        return Fused(parts, self.weights)

    def items(self, output: tuple[Any, ...], parts: Sequence[Packed]) -> FusedItems:
        made = zip(self.heads.values(), output, strict=True)
        items = {head.kind: head.items(own, parts) for head, own in made}
        return FusedItems(items, self.weights, cut=self.dense.kind)
