"""A static model's table as a torch module, so that training changes it like any other weight."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nearfield.batch.padded import PADDED
from nearfield.formats.static_folder import checked_table
from nearfield.models.backbones.backbone import Backbone
from nearfield.models.backbones.habits import Habits


class StaticTable(nn.Module):
    """`embeddings`: (tokens, dim) float32. No `nn.Embedding`: those are frozen in training unless
    asked, and here is nothing else.
    """

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.embeddings = nn.Parameter(table)

    def forward(self, ids: Tensor) -> Tensor:
        """The vectors of ids (T,): (T, dim)."""
        return nn.functional.embedding(ids, self.embeddings)


def static_backbone(folder: Path) -> Backbone:
    """The table in a static folder, in memory. Raises ModelError as `checked_table` does."""
    table = StaticTable(torch.from_numpy(np.array(checked_table(folder), np.float32)))
    return Backbone(table, table, 0, frozenset(), Habits(PADDED))
