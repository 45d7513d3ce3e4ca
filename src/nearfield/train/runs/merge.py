"""Back from the tuned weights towards the base, until nothing that mattered is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Merged:
    """One ratio's measurements: the dev mean, each guard's mean, whether no guard lost more than
    its margin, and whether it was taken.

    Guards are not measured at a ratio that dev does not choose; `guards` is empty then.
    """

    ratio: float
    dev: float
    guards: Mapping[str, float]
    allowed: bool
    chosen: bool = False


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


def search(
    base: Merged,
    ratios: Sequence[float],
    *,
    dev: Callable[[float], float],
    guards: Callable[[float], Mapping[str, float]],
    margin: float,
) -> list[Merged]:
    """What was measured to find the ratio that dev likes best without a guard losing more than
    `margin`, by ratio, that one chosen.

    dev is measured from the highest ratio down until it falls; the ratios so far are then held to
    the guards, the best on dev first and the smaller where two are equal. Where all of them lose
    too much the search goes on below. `base`, ratio 0, is always allowed.
    """
    rows: list[Merged] = []
    refused: set[float] = set()
    chosen = base
    for ratio in sorted(ratios, reverse=True):
        rows.append(Merged(ratio, dev(ratio), {}, allowed=True))
        falls = rows[-1].dev < max(row.dev for row in rows)
        if not falls and ratio != min(ratios):
            continue
        for row in sorted(rows, key=lambda row: (-row.dev, row.ratio)):
            if row.dev <= base.dev or row.ratio in refused:
                continue
            values = guards(row.ratio)
            asked = replace(row, guards=values, allowed=keeps(values, base.guards, margin))
            rows[rows.index(row)] = asked
            if asked.allowed:
                chosen = asked
                break
            refused.add(row.ratio)
        if chosen is not base:
            break
    return [replace(row, chosen=row is chosen) for row in (base, *reversed(rows))]


def keeps(guards: Mapping[str, float], before: Mapping[str, float], margin: float) -> bool:
    """Whether no guard's mean is more than `margin` below what it was."""
    return all(before[name] - value <= margin for name, value in guards.items())
