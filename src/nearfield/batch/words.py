"""Texts to the numbers of their stemmed words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import Stemmer

from nearfield.batch.sequences import offsets_of
from nearfield.errors import InputError, nearest
from nearfield.types.arrays import Integers
from nearfield.types.word_rule import folded, words

NO_TERM = -1  # a stop word
UNKNOWN = -2  # a word that the texts of the vocabulary lack
_TEXTS = 4096  # cut at a time


class Numbered(NamedTuple):
    """The terms of n texts: those of text i are `terms[offsets[i]:offsets[i + 1]]` (int32).
    `unknown`: (n,) int64, words left out because the vocabulary lacks them.
    """

    terms: npt.NDArray[np.int32]
    offsets: Integers
    unknown: Integers

    @property
    def lengths(self) -> Integers:
        """(n,) int64, words of each text that are no stop words, unknown ones too."""
        return np.diff(self.offsets) + self.unknown


class Words:
    """A vocabulary of stems: a text is cut by `types.word_rule`, stop words are left out, each
    other word is stemmed.

    `stemmer` is a Snowball language or None; `stop_words` of None is that language's list where
    there is one (English without a stemmer), folded as words are. `terms` are the stems that are
    known from the start, each at its number. Each different word is looked up and stemmed once.
    Raises InputError for an unknown language.
    """

    def __init__(
        self,
        *,
        stemmer: str | None = "english",
        stop_words: Sequence[str] | None = None,
        terms: Sequence[str] = (),
    ) -> None:
        if stop_words is None:
            stop_words = _stop_words(stemmer or "english")
        self.stop_words = tuple(stop_words)
        self._known = _Known(
            None if stemmer is None else _snowball(stemmer),
            frozenset(map(folded, self.stop_words)),
            terms,
        )

    @property
    def terms(self) -> Sequence[str]:
        """The stems, each at its number."""
        return list(self._known.stems)

    def learn(self, texts: Sequence[str]) -> Numbered:
        """Terms of the texts, new ones given numbers."""
        self._known.growing = True
        return self._numbered(texts)

    def look_up(self, texts: Sequence[str]) -> Numbered:
        """As `learn`, but a word whose stem is not known is left out."""
        self._known.growing = False
        return self._numbered(texts)

    def unknown(self, text: str) -> list[str]:
        """The stems of the text's words that are not known, each once, in the text's order."""
        self._known.growing = False
        unknown = [word for word in words(text) if self._known[word] == UNKNOWN]
        return list(dict.fromkeys(map(self._known.stem, unknown)))

    def stopped(self, text: str) -> list[str]:
        """The text's words that the stop list leaves out, each once, in the text's order."""
        return [word for word in dict.fromkeys(words(text)) if word in self._known.stop_words]

    def _numbered(self, texts: Sequence[str]) -> Numbered:
        number = self._known.__getitem__
        lengths = np.zeros(len(texts), np.int64)
        unknown = np.zeros(len(texts), np.int64)
        blocks = [np.empty(0, np.int32)]
        left = iter(texts)
        for start in range(0, len(texts), _TEXTS):
            # an array per text takes more than its numbers: few are held at a time
            rows = []
            for at, text in enumerate(islice(left, _TEXTS), start):
                row = np.fromiter(map(number, words(text)), np.int32)
                unknown[at] = np.count_nonzero(row == UNKNOWN)
                row = row[row >= 0]
                lengths[at] = len(row)
                rows.append(row)
            blocks.append(np.concatenate(rows))
        return Numbered(np.concatenate(blocks), offsets_of(lengths), unknown)


class _Known(dict[str, int]):
    """Words to the numbers of their stems; what is missing is worked out once."""

    def __init__(
        self, stemmer: Stemmer.Stemmer | None, stop_words: frozenset[str], terms: Sequence[str]
    ) -> None:
        self.stems: dict[str, int] = {term: number for number, term in enumerate(terms)}
        self.growing = True
        self.stem = stemmer.stemWord if stemmer is not None else str
        self.stop_words = stop_words

    def __missing__(self, word: str) -> int:
        if word in self.stop_words:
            self[word] = NO_TERM
            return NO_TERM
        stem = self.stem(word)
        number = self.stems.get(stem, UNKNOWN)
        if number == UNKNOWN:
            if not self.growing:
                return UNKNOWN  # not kept: queries would fill the memory with words
            number = len(self.stems)
            self.stems[stem] = number
        self[word] = number
        return number


def _snowball(language: str) -> Stemmer.Stemmer:
    known = Stemmer.algorithms()
    if language not in known:
        raise InputError(
            f"there is no stemmer for {language!r}; wanted one of "
            f"{', '.join(known)}.{nearest(language, known)}"
        )
    return Stemmer.Stemmer(language)


def _stop_words(language: str) -> list[str]:
    from bm25s import stopwords

    # "porter" is an older stemmer of English
    name = "EN" if language in ("english", "porter") else language.upper()
    return list(getattr(stopwords, f"STOPWORDS_{name}", ()))
