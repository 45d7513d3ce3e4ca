"""How like real queries written ones are, in length and in form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from nearfield.data.doctor.words import digest, length_in_words
from nearfield.types.arrays import Doubles, Floats, Integers, Mask
from nearfield.types.word_rule import words

FEWEST = 30  # real queries: fewer do not show how they are distributed
_BINS = 8  # of length: with as many real queries each
_MARKS = ("?", "？", "؟", ";")  # the last one is Greek, where it ends a text
_ASKING = "what why when where who whom whose which how is are do"
_FIRST_WORDS = frozenset(_ASKING.split())


@dataclass(frozen=True)
class Features:
    """Of n queries: `lengths` (n,) float32 in words, `questions` (n,) bool."""

    lengths: Floats
    questions: Mask

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """Of these texts. A question ends with a question mark or begins with a word that asks,
        in English.
        """
        lengths = np.array([length_in_words(text) for text in texts], np.float32)
        questions = np.array([_asks(text) for text in texts], bool)
        return cls(lengths, questions)


@dataclass(frozen=True)
class Likeness:
    """A sample compared with real queries, `real` of them. `distance`: the largest difference of
    the two distributions of length (Kolmogorov and Smirnov); `p`: how likely that is for two
    samples of one distribution; `questions`: the share of questions in the sample.
    """

    real: int
    distance: float
    p: float
    questions: float

    @classmethod
    def of(cls, texts: Sequence[str], real: Sequence[str]) -> Self:
        """Of `texts` beside real queries, one of each at least."""
        from scipy.stats import ks_2samp

        own = Features.of(texts)
        found = ks_2samp(own.lengths, Features.of(real).lengths)
        questions = float(own.questions.mean())
        return cls(len(real), float(found.statistic), float(found.pvalue), questions)


def _asks(text: str) -> bool:
    if text.rstrip().endswith(_MARKS):
        return True
    return not _FIRST_WORDS.isdisjoint(words(text)[:1])


def kept_by_match(own: Features, real: Features, texts: Sequence[str], *, seed: int) -> Mask:
    """(n,) which of the queries to keep so that those kept are distributed over length and form as
    the real ones are.

    Of a length and form that is more frequent than among the real queries, only their share is
    kept, drawn by a hash; of any other, all; none that is longer or shorter than every real one. So
    the share that is kept is what the two distributions have in common.
    """
    edges: Doubles = np.quantile(real.lengths.astype(np.float64), np.arange(_BINS + 1) / _BINS)
    edges[0] -= 0.1  # the shortest is in the first bin
    ours = _shares(own, edges)
    theirs = _shares(real, edges)
    # by a cell of length and form, the chance that a query of it is kept
    ratio = theirs / np.maximum(ours, 1e-12)
    drawn = np.array([digest(f"{seed} {text}") / 2**64 for text in texts])
    kept: Mask = drawn < ratio[_cells(own, edges)]
    return kept


def _cells(features: Features, edges: Doubles) -> Integers:
    """(n,) the number of each query's bin of length, those outside all of them among these, of
    questions after all of statements.
    """
    found: Integers = np.searchsorted(edges, features.lengths)
    return found + (_BINS + 2) * features.questions


def _shares(features: Features, edges: Doubles) -> Doubles:
    counts = np.bincount(_cells(features, edges), minlength=2 * (_BINS + 2))
    return counts / max(1, len(features.lengths))
