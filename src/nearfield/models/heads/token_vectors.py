"""A vector for each token of a text but the first, for late interaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from nearfield.batch.packed import Packed
from nearfield.models.heads.head import Head
from nearfield.models.heads.of_tokens import token_vectors
from nearfield.models.heads.ragged import Ragged
from nearfield.models.heads.segments import Segments
from nearfield.similarity.multi_vector import MultiVector
from nearfield.similarity.offsets import joined_offsets


class TokenVectors(Head[Tensor]):
    """W h_t + b of unit length for each token but a sequence's first: (T, hidden) to (K, dim) for
    the K others.

    A score is the mean over the query's tokens. Chen et al. 2024 (arXiv 2402.03216, section 3.2,
    multi-vector retrieval).
    """

    kind: ClassVar[str] = "multi-vector"

    def __init__(self, linear: nn.Linear, *, normalise: bool = True) -> None:
        super().__init__()
        self.linear, self.normalise = linear, normalise

    def forward(self, states: Tensor, batch: Packed) -> Tensor:
        """See Head.forward: (K, dim)."""
        vectors = Segments.of(batch, skip=1, device=states.device).counted(self.linear(states))
        return nn.functional.normalize(vectors, dim=-1) if self.normalise else vectors

    def embeddings(self, output: Tensor, batch: Packed) -> MultiVector:
        """See Head.embeddings."""
        return token_vectors(output.float().cpu().numpy(), batch, normalise=self.normalise)

    def represented(
        self, outputs: Sequence[Tensor], parts: Sequence[Packed], place: Tensor
    ) -> Ragged:
        """See Head.represented."""
        offsets = joined_offsets([np.maximum(part.lengths - 1, 0) for part in parts])
        return Ragged(torch.cat(list(outputs)), offsets, average=True, normalise=self.normalise)[
            place
        ]
