"""Which of many texts is a copy, or a near-copy, of one of a few: told in one pass over them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from nearfield.data.doctor.minhash import (
    DOCUMENT_RUNS,
    DOCUMENT_THRESHOLD,
    QUERY_RUNS,
    QUERY_THRESHOLD,
    near_duplicates,
)
from nearfield.data.doctor.words import Hashes, Shingler, digests, normalised, wording
from nearfield.types.arrays import Mask, Positions

_BLOCK = 128  # texts at a time
_GLIMPSES, _GLIMPSE = 4, 100  # places of a long text that are looked at first, and their characters


def copies(
    texts: Sequence[str], held: Sequence[str], *, queries: bool = False
) -> tuple[Hashes, Mask]:
    """The digest of each text, (n,), in which its exact copies are equal, and whether it is a copy
    or a near-copy of a held text, (n,) bool.

    Copies are told as the doctor tells them, of documents or of `queries`. One pass reads all
    texts: what shares a run of words with a held text, at one of four places where it is long, is
    then compared.
    """
    key = normalised
    sizes: tuple[int, ...] = DOCUMENT_RUNS
    threshold = DOCUMENT_THRESHOLD
    if queries:
        key = wording
        sizes = QUERY_RUNS
        threshold = QUERY_THRESHOLD
    shingler = Shingler(sizes)
    known = np.unique(shingler(list(held))[0])
    keys = [np.zeros(0, np.uint64)]
    some = [np.zeros(0, np.int64)]
    start = 0
    left = iter(texts)
    while block := list(islice(left, _BLOCK)):
        keys.append(digests(map(key, block)))
        runs, owners = shingler([_glimpses(text) for text in block])
        some.append(start + _touching(known, runs, owners))
        start += len(block)
    digested = np.concatenate(keys)
    near = np.concatenate(some)
    found = np.isin(digested, digests(map(key, held)))  # of texts without words, too
    # the few that may be near-copies are read again, and compared with what is held as a whole
    both = [*held, *(texts[int(at)] for at in near)]
    pairs = near_duplicates(both, threshold=threshold, sizes=sizes)
    across = (pairs.first < len(held)) & (pairs.second >= len(held))
    found[near[pairs.second[across] - len(held)]] = True
    return digested, found


def _touching(known: Hashes, runs: Hashes, owner: Positions) -> Positions:
    """The texts of which any run is `known`, ascending."""
    if not len(known):
        return np.zeros(0, np.int64)
    at = np.minimum(np.searchsorted(known, runs), len(known) - 1)
    return np.unique(owner[known[at] == runs])


def _glimpses(text: str) -> str:
    """What stands at four places of a long text, evenly spaced; a shorter one whole."""
    if len(text) <= 2 * _GLIMPSES * _GLIMPSE:
        return text
    starts = np.linspace(0, len(text) - _GLIMPSE, _GLIMPSES).astype(int).tolist()
    return "\n".join(text[start : start + _GLIMPSE] for start in starts)
