"""Texts made comparable: case, blanks and punctuation set aside, split into words, hashed into
shingles.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from nearfield.types.arrays import Positions
from nearfield.types.word_rule import UNSPACED, words

Hashes = npt.NDArray[np.uint64]

_UNSPACED_CHARACTER = re.compile(rf"(?!\W)[{UNSPACED}]")
_APOSTROPHES = re.compile(r"['`´‘’]")
_BRACKETS = re.compile(r"[\"“”„«»()\[\]{};!?¿¡、。，؟،؛]")
_STOPS = re.compile(r"(?<!\S)[.,:–—-]+|[.,:–—-]+(?!\S)")  # not inside "3.5" or "x-ray"
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
_CHARACTERS_A_WORD = 1.7  # Chinese to English, by the aligned sentences of Tatoeba
_VOCABULARY = 2_000_000  # hashed words that are kept before the table is cleared: about 250 MB
# odd factors of 64 bits: multiplying by one loses nothing (modulo 2^64 it can be undone)
_ODD = np.array(
    [
        0x9E3779B97F4A7C15,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0x27D4EB2F165667C5,
        0x85EBCA77C2B2AE63,
    ],
    dtype=np.uint64,
)


def normalised(text: str) -> str:
    """`text` with compatible characters unified, case folded and blanks collapsed: what an exact
    duplicate is equal in.
    """
    return " ".join(unicodedata.normalize("NFKC", text).translate(_INVISIBLE).casefold().split())


def visible(text: str) -> str:
    """`text` without blanks at its ends and without characters that have no width."""
    return text.translate(_INVISIBLE).strip()


def wording(text: str) -> str:
    """`text` normalised and without sentence punctuation ("C++" and "3.5" stay whole): what a
    copied query is equal in.
    """
    plain = normalised(text)
    bare = _APOSTROPHES.sub("", plain)
    bare = _BRACKETS.sub(" ", bare)
    bare = _STOPS.sub(" ", bare)
    # of a text of punctuation alone nothing is left: two such texts are not the same
    return " ".join(bare.split()) or plain


def terms(text: str) -> list[str]:
    """The words of `text` as one reads them: "market-wide" is one; punctuation is set aside."""
    found = []
    for piece in wording(text).split():
        if _UNSPACED_CHARACTER.search(piece):
            found += words(piece)
        else:
            found.append(piece)
    return found


def length_in_words(text: str) -> float:
    """How long `text` is, in a unit that is alike across scripts: words, or 1.7 characters where no
    blanks are written.
    """
    found = words(text)
    unspaced = sum(map(bool, map(_UNSPACED_CHARACTER.match, found)))
    return len(found) - unspaced + unspaced / _CHARACTERS_A_WORD


def digest(text: str) -> int:
    """64 bits of `text`, the same in every process, as Python's own hash is not."""
    whole = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(whole.digest(), "little")


def digests(texts: Iterable[str]) -> Hashes:
    """`digest` of each text: (n,) uint64."""
    return np.fromiter(map(digest, texts), dtype=np.uint64)


class Shingler:
    """Turns texts into hashed runs of words, of each of the lengths in `sizes`; keeps the hashes of
    the words it has seen.
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = sizes
        self._words = _WordHashes()

    def __call__(self, texts: Sequence[str]) -> tuple[Hashes, Positions]:
        """Shingles of all texts end to end, (s,) uint64, and the row each belongs to, (s,) int64
        ascending.

        A text with fewer words than the shortest run has one shingle, of all its words; a text
        without words has none.
        """
        if len(self._words) > _VOCABULARY:
            self._words.clear()
        # All texts' words end to end: `flat` (w,) their hashes, `rows` (w,) the text of each. A run
        # is whole where its first and its last word are of one text.
        split = [words(text) for text in texts]
        lengths = np.fromiter(map(len, split), dtype=np.int64, count=len(split))
        hashed = map(self._words.__getitem__, chain.from_iterable(split))
        flat = np.fromiter(hashed, dtype=np.uint64, count=int(lengths.sum()))
        rows = np.repeat(np.arange(len(split)), lengths)
        starts = np.cumsum(lengths) - lengths
        runs = []
        owners = []
        for size in self.sizes:
            ends = max(0, len(rows) - size + 1)
            whole = np.flatnonzero(rows[:ends] == rows[size - 1 :][:ends])
            runs.append(_runs(flat, whole, size))
            owners.append(rows[whole])
        for size in range(1, min(self.sizes)):
            short = np.flatnonzero(lengths == size)
            runs.append(_runs(flat, starts[short], size))
            owners.append(short)
        owner = np.concatenate(owners)
        order = np.argsort(owner, kind="stable")
        return np.concatenate(runs)[order], owner[order]


class _WordHashes(dict[str, int]):
    """The digest of each word that was asked for."""

    def __missing__(self, word: str) -> int:
        found = digest(word)
        self[word] = found
        return found


def _runs(flat: Hashes, starts: Positions, size: int) -> Hashes:
    """One hash for the `size` words from each start on."""
    mixed = np.full(len(starts), size, dtype=np.uint64)
    for offset in range(size):
        # another factor at each place, so that the order of the words counts
        spread = (mixed ^ (mixed >> np.uint64(29))) * _ODD[offset % len(_ODD)]
        mixed = spread + flat[starts + offset]
    return mixed ^ (mixed >> np.uint64(32))
