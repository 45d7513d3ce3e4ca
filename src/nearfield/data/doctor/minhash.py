"""Near-duplicate texts by MinHash and banding, each candidate verified by its true Jaccard
similarity.

Broder, "On the resemblance and containment of documents", 1997; banding as in Leskovec, Rajaraman
and Ullman, "Mining of Massive Datasets", section 3.4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearfield.data.doctor.words import Hashes, Shingler, digests
from nearfield.types.arrays import Positions

# one word in 25 changed, about; word triples as they keep the order of words
DOCUMENT_THRESHOLD, DOCUMENT_RUNS = 0.8, (3,)
# words and word pairs: triples of a six-word query would nearly all change with one word
QUERY_THRESHOLD, QUERY_RUNS = 0.8, (1, 2)
_BLOCK = 4096  # texts hashed at a time, if together they have
_CHARACTERS = 1 << 23  # fewer characters than this
_PAIRS = 1024  # pairs verified at a time
_MISS = 0.001  # chance that a pair right at the threshold shares no band
_HASHES = 128  # hash functions, at most
# a bucket of more texts is compared along its order and with its first text, not all with all
_BUCKET = 32
# candidates whose signatures agree by this much less than the threshold (four deviations) are not
# verified
_SLACK = 0.2


@dataclass(frozen=True)
class NearPairs:
    """Texts that nearly agree: `first` < `second` (m,) int64 positions, ascending; `similarity`
    (m,) float64 Jaccard.
    """

    first: Positions
    second: Positions
    similarity: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.first)


def bands_for(threshold: float) -> tuple[int, int]:
    """Bands and rows per band that miss a pair at `threshold` once in a thousand, with the longest
    bands that few hashes allow.
    """
    # A pair of similarity s agrees in a band of r rows with probability s^r, and so shares none of
    # b bands with (1 - s^r)^b. Longer bands make fewer candidates that are not similar.
    rows = 1
    bands = math.ceil(math.log(_MISS) / math.log(1 - threshold))
    while True:
        wanted = math.ceil(math.log(_MISS) / math.log(1 - threshold ** (rows + 1)))
        if wanted * (rows + 1) > _HASHES:
            return bands, rows
        rows += 1
        bands = wanted


def near_duplicates(texts: Sequence[str], *, threshold: float, sizes: tuple[int, ...]) -> NearPairs:
    """Pairs of texts whose sets of word runs (of the lengths in `sizes`) have a Jaccard similarity
    of `threshold` or more.

    Each pair given is truly that similar; a pair right at the threshold is missed once in a
    thousand, except in buckets of more than 32 texts that all look alike, where each is still
    paired with a neighbour. Memory is 4 bytes a hash and text.
    """
    if not 0 < threshold < 1:
        raise ValueError(f"threshold is {threshold}; wanted between 0 and 1, both excluded")
    shingler = Shingler(sizes)
    bands, rows = bands_for(threshold)
    hashes, present = signatures(texts, shingler, bands * rows)
    codes = np.zeros(0, dtype=np.int64)
    for band in range(bands):
        keys = _band_keys(hashes[:, band * rows : (band + 1) * rows])
        codes = np.union1d(codes, _bucket_pairs(keys, len(present)))
    left = codes // max(1, len(present))
    right = codes % max(1, len(present))
    # from cheap to dear: the signatures' agreement, then the shingles themselves
    close = _agreement(hashes, left, right) >= threshold - _SLACK
    first = present[left[close]]
    second = present[right[close]]
    similarity = true_jaccard(texts, first, second, shingler)
    kept = similarity >= threshold
    return NearPairs(first[kept], second[kept], similarity[kept])


def true_jaccard(
    texts: Sequence[str], first: Positions, second: Positions, shingler: Shingler
) -> npt.NDArray[np.float64]:
    """Jaccard similarity of texts `first[i]` and `second[i]`: shared over all distinct shingles; 0
    where both have none.
    """
    result = np.zeros(len(first))
    for start in range(0, len(first), _PAIRS):
        left = first[start : start + _PAIRS].tolist()
        right = second[start : start + _PAIRS].tolist()
        wanted = sorted({*left, *right})
        values, owner = shingler([texts[position] for position in wanted])
        bounds = np.searchsorted(owner, np.arange(1, len(wanted)))
        sets = {}
        for position, shingles in zip(wanted, np.split(values, bounds), strict=True):
            sets[position] = set(shingles.tolist())
        for row, (one, other) in enumerate(zip(left, right, strict=True), start):
            shared = len(sets[one] & sets[other])
            result[row] = shared / max(1, len(sets[one]) + len(sets[other]) - shared)
    return result


def signatures(
    texts: Sequence[str], shingler: Shingler, hashes: int
) -> tuple[npt.NDArray[np.uint32], Positions]:
    """MinHash signatures (p, hashes) uint32 of the texts that have words, and their
    positions (p,).
    """
    # Multiply-shift hashing: the upper half of an odd factor times the value, plus a shift. Fixed:
    # signatures that were stored stay comparable.
    factors = digests(f"factor {number}" for number in range(hashes)) | np.uint64(1)
    shifts = digests(f"shift {number}" for number in range(hashes))
    found = [np.zeros((0, hashes), dtype=np.uint32)]
    present = [np.zeros(0, dtype=np.int64)]
    for start, block_texts in _blocks(texts):
        values, owner = shingler(block_texts)
        if not len(values):
            continue
        # `owner` ascends, so that each text's shingles stand together, from `bounds` on
        rows, bounds = np.unique(owner, return_index=True)
        block = np.empty((len(rows), hashes), dtype=np.uint32)
        for column in range(hashes):
            hashed = (values * factors[column] + shifts[column]) >> np.uint64(32)
            block[:, column] = np.minimum.reduceat(hashed, bounds)
        found.append(block)
        present.append(rows + start)
    return np.concatenate(found), np.concatenate(present)


def _blocks(texts: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Position of the first text, and texts: bounded in number and in characters, so that memory
    is.
    """
    block: list[str] = []
    characters = 0
    for position, text in enumerate(texts):
        block.append(text)
        characters += len(text)
        if len(block) == _BLOCK or characters >= _CHARACTERS or position == len(texts) - 1:
            yield position + 1 - len(block), block
            block = []
            characters = 0


def _band_keys(band: npt.NDArray[np.uint32]) -> Hashes:
    """(n,) one number for the hashes (n, rows) of a band, equal where all of them are."""
    keys = np.zeros(len(band), dtype=np.uint64)
    for column in band.T:
        mixed = (keys ^ (keys >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
        keys = mixed + column.astype(np.uint64)
    return keys


def _bucket_pairs(keys: Hashes, count: int) -> Positions:
    """Pairs of rows with equal keys, each as one number: smaller row x count + larger row."""
    # a bucket is a run of equal keys in `order`; its rows ascend, as the sort is stable
    order = np.argsort(keys, kind="stable")
    bounds = np.flatnonzero(np.diff(keys[order])) + 1
    starts = np.concatenate([[0], bounds])
    ends = np.concatenate([bounds, [len(keys)]])
    sizes = ends - starts
    found = [np.zeros(0, dtype=np.int64)]
    # all buckets of one size at a time: (buckets, size) members, and each with each later one
    for size in np.unique(sizes[(sizes > 1) & (sizes <= _BUCKET)]):
        members = order[starts[sizes == size][:, None] + np.arange(size)]
        left, right = np.triu_indices(int(size), 1)
        found.append((members[:, left] * count + members[:, right]).ravel())
    # of a large one, n - 1 pairs with its first and n - 1 of neighbours, not n^2 / 2
    for start, end in zip(starts[sizes > _BUCKET], ends[sizes > _BUCKET], strict=True):
        members = order[start:end]
        found.append(members[0] * count + members[1:])
        found.append(members[:-1] * count + members[1:])
    return np.concatenate(found)


def _agreement(
    signatures: npt.NDArray[np.uint32], left: Positions, right: Positions
) -> npt.NDArray[np.float64]:
    """Share of hashes that agree, an estimate of the Jaccard similarity, of each pair of rows."""
    shares = np.empty(len(left))
    for start in range(0, len(left), _BLOCK):
        pairs = slice(start, start + _BLOCK)
        shares[pairs] = (signatures[left[pairs]] == signatures[right[pairs]]).mean(axis=1)
    return shares
