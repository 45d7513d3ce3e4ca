"""Which rows cannot be told apart, as letters."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator

from nearfield.types.arrays import Mask

Group = frozenset[int]


def letters(different: Mask) -> list[str]:
    """A compact letter display of `different: (r, r)`, symmetric, rows best first: two rows share a
    letter iff not different.

    Each letter is a maximal set of rows none of which differ; one whose pairs the others all show
    is left out (Piepho 2004 gives the same display by insertion and absorption). The best row has
    `a`.
    """
    rows = range(len(different))
    alike = []
    for row in rows:
        alike.append({other for other in rows if other != row and not different[row, other]})
    cliques = _cliques(frozenset(), set(rows), set(), alike)
    found = ["" for _ in rows]
    # sorted, the group of the best row comes first
    for mark, group in zip(_marks(), _absorbed(sorted(cliques, key=sorted)), strict=False):
        for row in group:
            found[row] += mark
    return found


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
    # the smallest first, so that the letters that stay are those of the largest groups
    for group in sorted(groups, key=len):
        others = [other for other in kept if other != group]
        unshown = [set(pair) for pair in itertools.combinations(sorted(group), 2)] or [set(group)]
        for other in others:
            unshown = [pair for pair in unshown if not pair <= other]
        if not unshown:
            kept = others
    return kept


def _marks() -> Iterator[str]:
    # one character each, since reports compare rows by the set of their letters; after Z come
    # Greek and the scripts behind it
    yield from string.ascii_letters
    yield from (chr(code) for code in range(0x3B1, 0x10000) if chr(code).isalpha())
