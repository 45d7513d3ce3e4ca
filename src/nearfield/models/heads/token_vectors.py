"""A vector for each token of a text but the first, for late interaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from nearfield.batch.packed import Packed
from nearfield.formats.pooled_folder import TOKEN_HEADS, read_token_head
from nearfield.models.heads.arrays import normalised, to_numpy
from nearfield.models.heads.head import Given, Head
from nearfield.models.heads.layer import Layer
from nearfield.models.heads.ragged import Ragged
from nearfield.models.heads.segments import Segments
from nearfield.similarity.dense import Dense, checked_finite
from nearfield.similarity.multi_vector import MultiVector
from nearfield.similarity.offsets import joined_offsets
from nearfield.types.arrays import Integers
from nearfield.types.contract import Contract


class TokenVectors(Head[Any]):
    """W h_t + b, of unit length if the contract normalises, for each token but a sequence's first:
    (T, hidden) to (K, dim) for the K others.

    A score is the mean over the query's tokens. Chen et al. 2024 (arXiv 2402.03216, section 3.2,
    multi-vector retrieval).
    """

    kind: ClassVar[str] = "multi-vector"
    skips: ClassVar[int] = 1

    def __init__(self, contract: Contract, layer: Layer) -> None:
        self.contract = contract
        self.layer = layer

    @classmethod
    def open(cls, given: Given) -> TokenVectors:
        file = given.folder.path / TOKEN_HEADS[cls.kind]
        layer = Layer.of(*read_token_head(file, given.hidden))
        return cls(given.folder.contract, layer)

    @property
    def layers(self) -> Mapping[str, Layer]:
        return {"": self.layer}

    def forward(self, states: Any, batch: Packed) -> Any:
        """(K, dim)."""
        vectors = Segments(batch, skip=self.skips).counted(self.layer(states))
        if self.contract.normalise:
            return normalised(vectors)
        return vectors

    def embeddings(self, output: Any, batch: Packed) -> MultiVector:
        vectors = checked_finite(to_numpy(output), self.contract.name)
        tokens = Dense(
            vectors, vectors.shape[1], similarity="dot", normalise=self.contract.normalise
        )
        return MultiVector(tokens, joined_offsets([self._counts(batch)]), average=True)

    def items(self, output: Any, parts: Sequence[Packed]) -> Ragged:
        offsets = joined_offsets([self._counts(part) for part in parts])
        return Ragged(output, offsets, average=True, normalise=self.contract.normalise)

    def _counts(self, batch: Packed) -> Integers:
        return Segments(batch, skip=self.skips).counts
