"""Weights between those of before and those that were trained."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


@torch.no_grad()
def put_weights(
    into: Mapping[str, Tensor],
    base: Mapping[str, Tensor],
    tuned: Mapping[str, Tensor],
    ratio: float,
) -> None:
    """Set each weight to (1 - ratio) base + ratio tuned, in float32, in place; exactly base at 0
    and exactly tuned at 1.

    Linear interpolation of fine-tuned and zero-shot weights, Wortsman et al. 2022 (arXiv
    2109.01903), equation 1.
    """
    for name, kept in tuned.items():
        start = base[name]
        end = kept.to(start.device)  # kept weights are read from a file
        # exact at both ends, whatever lerp rounds
        if ratio == 0:
            into[name].copy_(start)
        elif ratio == 1:
            into[name].copy_(end)
        else:
            into[name].copy_(torch.lerp(start, end, ratio))
