"""The way from one model's weights to another's along an arc, so that their lengths are kept."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

NEAR = 1e-6  # of the sine of the angle: below it the arc is a straight line within rounding


@torch.no_grad()
def slerp(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], ratio: float
) -> dict[str, Tensor]:
    """Each weight at `ratio` of the way from `first` (0) to `second` (1), as a vector on the arc
    between them, in float64.

    sin((1 - t) a) / sin(a) x + sin(t a) / sin(a) y, a the angle between x and y (Shoemake 1985,
    "Animating rotation with quaternion curves"), where x and y are scaled to the same length, which
    then goes linearly from one's to the other's. Where they are parallel, opposite or zero there is
    no one arc and the way is straight.
    """
    found = {}
    for name, weight in first.items():
        arc = _arc(weight.double(), second[name].double(), ratio)
        found[name] = arc.to(weight.dtype)
    return found


def _arc(x: Tensor, y: Tensor, ratio: float) -> Tensor:
    lengths = x.norm(), y.norm()
    if not (lengths[0] > 0 and lengths[1] > 0):
        return torch.lerp(x, y, ratio)
    a = x / lengths[0]
    b = y / lengths[1]
    # exact for small angles too, where acos of the product is not
    angle = 2 * torch.atan2((a - b).norm(), (a + b).norm())
    sine = torch.sin(angle)
    if sine < NEAR:
        return torch.lerp(x, y, ratio)
    first = torch.sin((1 - ratio) * angle)
    second = torch.sin(ratio * angle)
    direction = (first * a + second * b) / sine
    arc: Tensor = direction * torch.lerp(lengths[0], lengths[1], ratio)
    return arc
