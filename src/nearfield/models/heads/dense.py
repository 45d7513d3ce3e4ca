"""One vector a text: pooled, projected and normalised as the contract says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nearfield.batch.packed import Packed
from nearfield.models.heads.head import Head
from nearfield.models.heads.of_tokens import dense_vectors
from nearfield.models.heads.pooling import POOLINGS
from nearfield.models.heads.projection import Projection
from nearfield.models.heads.represented import Rows
from nearfield.models.heads.segments import Segments
from nearfield.similarity.dense import Dense
from nearfield.types.contract import Contract


class DenseHead(Head[Tensor]):
    """(T, hidden) to (n, dim) float32; a sequence without a token to pool is pooled to zeros."""

    kind: ClassVar[str] = "dense"
    light: ClassVar[bool] = True

    def __init__(self, contract: Contract, projections: Sequence[Projection] = ()) -> None:
        super().__init__()
        self.contract = contract
        self.projections = nn.ModuleList(projections)

    def forward(self, states: Tensor, batch: Packed) -> Tensor:
        """See Head.forward: (n, dim)."""
        segments = Segments.of(batch, skip=self._skipped(batch), device=states.device)
        vectors = POOLINGS[self.contract.pooling](states, segments)
        for projection in self.projections:
            vectors = projection(vectors)
        return nn.functional.normalize(vectors, dim=-1) if self.contract.normalise else vectors

    def picked(self, batch: Packed) -> npt.NDArray[np.int64] | None:
        """See Head.picked."""
        last, skip = batch.lengths - 1, self._skipped(batch)
        return {"cls": np.where(last >= skip, skip, 0), "last": last}.get(self.contract.pooling)

    def _skipped(self, batch: Packed) -> int:
        return 0 if self.contract.include_prompt else batch.prompt_tokens

    def embeddings(self, output: Tensor, batch: Packed) -> Dense:
        """See Head.embeddings."""
        return dense_vectors(output.cpu().numpy(), self.contract)

    def represented(
        self, outputs: Sequence[Tensor], parts: Sequence[Packed], place: Tensor
    ) -> Rows:
        """See Head.represented."""
        kept = self.contract
        return Rows(
            torch.cat(list(outputs))[place], kept.similarity, kept.layer_norm, kept.normalise
        )
