"""One vector per token, projected and normalised (ColBERT)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from nearfield.batch.packed import Packed
from nearfield.batch.sequences import offsets_of
from nearfield.formats.late_interaction import INLINE, LateInteraction
from nearfield.models.heads.arrays import beside, normalised, to_numpy
from nearfield.models.heads.head import Given, Head
from nearfield.models.heads.layer import Layer
from nearfield.models.heads.ragged import Ragged
from nearfield.similarity.dense import Dense, checked_finite
from nearfield.similarity.multi_vector import MultiVector
from nearfield.similarity.offsets import joined_offsets
from nearfield.types.arrays import Integers
from nearfield.types.contract import Contract

# an old folder says of a Dense module over tokens that it is over whole texts
_INPUTS = ("token_embeddings", "sentence_embedding")


class LateInteractionHead(Head[Any]):
    """(T, hidden) to (K, dim) float32, the vectors of the K tokens that the batch counts, in
    their order.

    `settings` say what of a text gets a vector, by which the batch's columns were made. Khattab and
    Zaharia 2020 (arXiv 2004.12832), section 3.2.
    """

    kind: ClassVar[str] = "multi-vector"
    layout: ClassVar[str] = "late-interaction"

    def __init__(
        self, contract: Contract, projections: Sequence[Layer], settings: LateInteraction
    ) -> None:
        self.contract = contract
        self.projections = projections
        self.settings = settings

    @classmethod
    def open(cls, given: Given) -> LateInteractionHead:
        folder = given.folder
        assert folder.late is not None
        if folder.late.inline:
            projections = [Layer.inline(folder.transformer, INLINE)]
        else:
            projections = [Layer.open(part, inputs=_INPUTS) for part in folder.projections]
        return cls(folder.contract, projections, folder.late)

    def forward(self, states: Any, batch: Packed) -> Any:
        """(K, dim)."""
        vectors = states
        counted = batch.column("counted")
        if counted is not None:
            vectors = states[beside(np.flatnonzero(counted), states)]
        for projection in self.projections:
            vectors = projection(vectors)
        if self.contract.normalise:
            return normalised(vectors)
        return vectors

    def embeddings(self, output: Any, batch: Packed) -> MultiVector:
        vectors = checked_finite(to_numpy(output), self.contract.name)
        tokens = Dense.under(self.contract, vectors)
        return MultiVector(tokens, _offsets(batch), self.settings.average)

    def items(self, output: Any, parts: Sequence[Packed]) -> Ragged:
        offsets = joined_offsets([np.diff(_offsets(part)) for part in parts])
        kept = self.contract
        return Ragged(output, offsets, self.settings.average, kept.normalise, kept.similarity)


def _offsets(batch: Packed) -> Integers:
    """(n + 1,): where each sequence's tokens begin among those that get a vector."""
    # (T + 1,) how many of the tokens before each place count
    before = offsets_of(batch.filled("counted"))
    return before.astype(np.int64)[batch.offsets]
