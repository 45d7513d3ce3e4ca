"""Back from the tuned weights towards the base, until nothing that mattered is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Merged:
    """One ratio's measurements: the dev mean, each guard's mean, whether no guard lost more than its margin, and whether it was taken."""

    ratio: float
    dev: float
    guards: Mapping[str, float]
    allowed: bool
    chosen: bool = False


@torch.no_grad()
def put_weights(into: Mapping[str, Tensor], base: Mapping[str, Tensor], tuned: Mapping[str, Tensor], ratio: float) -> None:
    """Set each weight to (1 - ratio) base + ratio tuned, in float32, in place; exactly base at 0 and exactly tuned at 1.

    Linear interpolation of fine-tuned and zero-shot weights, Wortsman et al. 2022 (arXiv 2109.01903), equation 1.
    """
    for name, kept in tuned.items():
        weight = kept.to(base[name].device)  # kept weights are read from a file
        into[name].copy_(base[name] if ratio == 0 else weight if ratio == 1 else torch.lerp(base[name], weight, ratio))


def choose(measured: Sequence[Merged]) -> Merged:
    """The allowed ratio with the highest dev mean, the smaller ratio where two are equal.

    Ratio 0, the base itself, is always allowed, so there always is one.
    """
    return max((row for row in measured if row.allowed), key=lambda row: (row.dev, -row.ratio))


def keeps(guards: Mapping[str, float], before: Mapping[str, float], margin: float) -> bool:
    """Whether no guard's mean is more than `margin` below what it was."""
    return all(before[name] - value <= margin for name, value in guards.items())
