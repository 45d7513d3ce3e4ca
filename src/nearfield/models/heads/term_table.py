"""A sparse vector without a transformer: each token's term with a weight from a table."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from nearfield.batch.packed import Packed


class TermTable(nn.Module):
    """`weight`: (vocabulary,) float32. A term has its weight where a token of the text is its own,
    however often, and else none.

    Geng et al. 2024 (arXiv 2411.04403), section 3: queries that need no inference.
    """

    def __init__(self, weight: Tensor, *, frozen: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=not frozen)

    def forward(self, batch: Packed) -> Tensor:
        """(n, vocabulary) of the batch's n sequences."""
        rows = torch.from_numpy(batch.owners)
        present = torch.zeros(len(batch), len(self.weight), device=self.weight.device)
        # set and not added: a term that is there twice counts once
        present[rows, torch.from_numpy(batch.ids.astype(np.int64))] = 1.0
        return present * self.weight
