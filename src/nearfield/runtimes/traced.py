"""A backbone in the form in which converters trace it: padded ids and their mask to token
states.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nearfield.models.backbones.backbone import load_backbone
from nearfield.runtimes.padded_states import Shape


class States(nn.Module):
    """Ids and mask (B, L) int64, 1 at real tokens, to the last hidden state (B, L, hidden)."""

    def __init__(self, transformer: Path) -> None:
        super().__init__()
        opened = load_backbone(transformer)
        self.backbone: Any = opened.model
        self.backbone.config.use_cache = False  # of a decoder: nothing is generated
        self.shape = Shape(
            opened.fill,
            int(self.backbone.config.hidden_size),
            opened.habits.together,
            opened.habits.places,
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(B, L, hidden) float32."""
        made = self.backbone(input_ids=input_ids, attention_mask=attention_mask)
        states: Tensor = made.last_hidden_state
        return states


def example() -> tuple[Tensor, Tensor]:
    """Ids and mask (2, 7) to trace with: two rows of unequal length, so that the mask is not traced
    away.
    """
    mask = torch.ones(2, 7, dtype=torch.long)
    mask[1, 4:] = 0
    return torch.full((2, 7), 5), mask


@contextlib.contextmanager
def tracing() -> Iterator[None]:
    """Without gradients, and without the warnings that tracing any transformer gives: the proof is
    in the vectors.
    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
