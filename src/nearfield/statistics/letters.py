"""Which rows cannot be told apart, as letters."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Group = frozenset[int]


def letters(different: npt.NDArray[np.bool_]) -> list[str]:
    """A compact letter display of `different: (r, r)`, symmetric, rows best first: two rows share a
    letter iff not different.

    Each letter is a maximal set of rows none of which differ; one whose pairs the others all show
    is left out (Piepho 2004 gives the same display by insertion and absorption). The best row has
    `a`.
    """
    rows = len(different)
    alike = [
        {other for other in range(rows) if other != row and not different[row, other]}
        for row in range(rows)
    ]
    groups = _absorbed(sorted(_cliques(frozenset(), set(range(rows)), set(), alike), key=sorted))
    marks = list(itertools.islice(_marks(), len(groups)))
    return [
        "".join(mark for mark, group in zip(marks, groups, strict=True) if row in group)
        for row in range(rows)
    ]


def _cliques(
    chosen: Group, candidates: set[int], seen: set[int], alike: list[set[int]]
) -> Iterator[Group]:
    """Maximal cliques, by Bron and Kerbosch 1973 with the pivot of Tomita et al. 2006."""
    if not candidates and not seen:
        if chosen:
            yield chosen
        return
    pivot = max(sorted(candidates | seen), key=lambda row: len(candidates & alike[row]))
    for row in sorted(candidates - alike[pivot]):
        yield from _cliques(chosen | {row}, candidates & alike[row], seen & alike[row], alike)
        candidates = candidates - {row}
        seen = seen | {row}


def _absorbed(groups: list[Group]) -> list[Group]:
    """Groups without those that are not needed: each of their pairs, or their only row, is in
    another group.
    """
    kept = list(groups)
    for group in sorted(groups, key=len):
        others = [other for other in kept if other != group]
        pairs = list(itertools.combinations(sorted(group), 2)) or [(row, row) for row in group]
        if all(any({a, b} <= other for other in others) for a, b in pairs):
            kept = others
    return kept


def _marks() -> Iterator[str]:
    yield from string.ascii_letters
    yield from (chr(code) for code in range(0x3B1, 0x10000) if chr(code).isalpha())
