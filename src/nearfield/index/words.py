"""Texts to the numbers of their stemmed words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import Stemmer

WORD = r"(?u)[^\W_]{2,}"
NO_TERM = -1  # a stop word, or a word that the texts of the index lack


class Words:
    """The terms of an index: a word is two or more letters or digits in lower case, stop words are left out, then it is stemmed.

    Each different word is looked up and stemmed once. `terms` are the stems, numbered as they came.
    """

    def __init__(self, *, stemmer: Stemmer.Stemmer | None, stop_words: Sequence[str]) -> None:
        self._find = re.compile(WORD).findall
        self._known = _Known(stemmer, frozenset(stop_words))

    @property
    def terms(self) -> Sequence[str]:
        """The stems, each at its number."""
        return list(self._known.stems)

    def learn(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Terms of the texts, new ones given numbers: (terms,) int64 and where each text's begin (n + 1,) int64."""
        self._known.growing = True
        return self._numbered(texts)

    def look_up(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """As `learn`, but a word whose stem is not known is left out."""
        self._known.growing = False
        return self._numbered(texts)

    def _numbered(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        number = self._known.__getitem__
        rows = [np.fromiter(map(number, self._find(text.lower())), np.int64) for text in texts]
        rows = [row[row >= 0] for row in rows]
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        return np.concatenate([np.empty(0, np.int64), *rows]), offsets


class _Known(dict[str, int]):
    """Words to the numbers of their stems; what is missing is worked out once."""

    def __init__(self, stemmer: Stemmer.Stemmer | None, stop_words: frozenset[str]) -> None:
        self.stems: dict[str, int] = {}
        self.growing = True
        self._stem = stemmer.stemWord if stemmer is not None else str
        self._stop_words = stop_words

    def __missing__(self, word: str) -> int:
        if word in self._stop_words:
            self[word] = NO_TERM
            return NO_TERM
        stem = self._stem(word)
        number = self.stems.get(stem, NO_TERM)
        if number == NO_TERM:
            if not self.growing:
                return NO_TERM  # not kept: queries would fill the memory with words
            number = self.stems[stem] = len(self.stems)
        self[word] = number
        return number
