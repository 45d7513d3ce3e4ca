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
        weight = kept.to(base[name].device)  # kept weights are read from a file
        into[name].copy_(
            base[name]
            if ratio == 0
            else weight
            if ratio == 1
            else torch.lerp(base[name], weight, ratio)
        )
