"""One vector a token, projected and normalised (ColBERT)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from nearfield.batch.packed import Packed
from nearfield.formats.late_interaction import LateInteraction
from nearfield.models.heads.head import Head
from nearfield.models.heads.of_tokens import counted_offsets, counted_vectors
from nearfield.models.heads.projection import Projection
from nearfield.models.heads.ragged import Ragged
from nearfield.similarity.multi_vector import MultiVector
from nearfield.types.contract import Contract


class LateInteractionHead(Head[Tensor]):
    """(T, hidden) to (K, dim) float32, the vectors of the K tokens that the batch counts, in
    their order.

    `settings` say what of a text gets a vector, by which the batch's columns were made. Khattab and
    Zaharia 2020 (arXiv 2004.12832), section 3.2.
    """

    kind: ClassVar[str] = "multi-vector"

    def __init__(
        self, contract: Contract, projections: Sequence[Projection], settings: LateInteraction
    ) -> None:
        super().__init__()
        self.contract, self.settings = contract, settings
        self.projections = nn.ModuleList(projections)

    def forward(self, states: Tensor, batch: Packed) -> Tensor:
        """See Head.forward: (K, dim)."""
        vectors = states
        counted = batch.column("counted")
        if counted is not None:
            vectors = states[torch.from_numpy(np.flatnonzero(counted)).to(states.device)]
        for projection in self.projections:
            vectors = projection(vectors)
        return nn.functional.normalize(vectors, dim=-1) if self.contract.normalise else vectors

    def embeddings(self, output: Tensor, batch: Packed) -> MultiVector:
        """See Head.embeddings. Raises ModelError for vectors that are not finite."""
        return counted_vectors(
            output.cpu().numpy(), batch, self.contract, average=self.settings.average
        )

    def represented(
        self, outputs: Sequence[Tensor], parts: Sequence[Packed], place: Tensor
    ) -> Ragged:
        """See Head.represented."""
        counts = [count for part in parts for count in np.diff(counted_offsets(part))]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        kept = self.contract
        return Ragged(
            torch.cat(list(outputs)),
            offsets,
            self.settings.average,
            kept.normalise,
            kept.similarity,
        )[place]
