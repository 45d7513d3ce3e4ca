"""The first token's state and the mean of all, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from nearfield.batch.packed import Packed
from nearfield.models.heads.head import Given, Head
from nearfield.models.heads.pooling import cls, mean
from nearfield.models.heads.represented import Rows
from nearfield.models.heads.segments import Segments
from nearfield.similarity.dense import Dense


class FirstAndMean(Head[Tensor]):
    """(T, hidden) to (n, 2 hidden) float32, of unit length."""

    kind: ClassVar[str] = "dense"

    @classmethod
    def open(cls, given: Given) -> FirstAndMean:
        return cls()  # it has no weights to read

    def forward(self, states: Tensor, batch: Packed) -> Tensor:
        """(n, 2 hidden)."""
        segments = Segments(batch)
        pooled = torch.cat([cls(states, segments), mean(states, segments)], dim=1)
        return torch.nn.functional.normalize(pooled, dim=-1)

    def embeddings(self, output: Tensor, batch: Packed) -> Dense:
        return Dense(output.cpu().numpy(), output.shape[1], similarity="cosine", normalise=True)

    def represented(
        self, outputs: Sequence[Tensor], parts: Sequence[Packed], place: Tensor
    ) -> Rows:
        return Rows(torch.cat(list(outputs))[place], similarity="cosine")
