"""Whether a model's weights are still those that were opened."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def weight_sums(weights: Iterable[Tensor]) -> list[int]:
    """The sum of each weight's bits, which no order of adding changes. A fused optimiser does not
    count its writes in the tensors' versions.
    """
    with torch.inference_mode():
        # integers, whose sums wrap around and do not round
        sums = [_words(weight).sum() for weight in weights]
        # brought together, so that a GPU is waited for once
        return torch.stack(sums).cpu().tolist() if sums else []


def _words(weight: Tensor) -> Tensor:
    """A weight's bits as integers of 64 bits, which are added faster than shorter ones; as bytes
    where they do not fill those or do not lie at their borders.
    """
    flat = weight.reshape(-1)
    size = flat.element_size()
    fills = flat.numel() * size % 8 == 0
    aligned = flat.storage_offset() * size % 8 == 0
    return flat.view(torch.int64 if fills and aligned else torch.int8)
