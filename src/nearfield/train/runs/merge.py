"""Back from the tuned weights towards the base, until nothing that mattered is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Merged:
    """One ratio's measurements: the dev mean, each guard's mean, whether no guard lost more than
    its margin, and whether it was taken.

    Guards are not measured at a ratio that dev does not choose; `guards` is empty then.
    `temperature` is what was trained at, times the recipe's, where several were tried.
    """

    ratio: float
    dev: float
    guards: Mapping[str, float]
    allowed: bool
    chosen: bool = False
    temperature: float = 1.0


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
    # each value of dev costs an encoding of the pool, and each of a guard one of its own: neither
    # is asked for where it can no longer decide
    rows: list[Merged] = []
    chosen = base
    for ratio in sorted(ratios, reverse=True):
        rows.append(Merged(ratio, dev(ratio), {}, allowed=True))
        falls = rows[-1].dev < max(row.dev for row in rows)
        if not falls and ratio != min(ratios):
            continue
        chosen = best_kept(rows, base, lambda row: guards(row.ratio), margin)
        if chosen is not base:
            break
    return [replace(row, chosen=row is chosen) for row in (base, *reversed(rows))]


def best_kept(
    rows: list[Merged],
    base: Merged,
    guards: Callable[[Merged], Mapping[str, float]],
    margin: float,
) -> Merged:
    """The row that dev likes best, of equals the smaller ratio, for which no guard loses more than
    `margin`; `base` where dev likes none better. The guards that are asked are put into `rows`.
    """
    for row in sorted(rows, key=lambda row: (-row.dev, row.ratio)):
        if row.dev <= base.dev or not row.allowed:
            continue
        values = guards(row)
        asked = replace(row, guards=values, allowed=keeps(values, base.guards, margin))
        rows[rows.index(row)] = asked
        if asked.allowed:
            return asked
    return base


def keeps(guards: Mapping[str, float], before: Mapping[str, float], margin: float) -> bool:
    """Whether no guard's mean is more than `margin` below what it was."""
    return all(before[name] - value <= margin for name, value in guards.items())
