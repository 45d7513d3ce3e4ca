"""Word vectors on analogies: a is to b as c is to which word?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nearfield.data.readers.word_tests import Analogies
from nearfield.data.word_vectors import Positions, WordVectors
from nearfield.errors import InputError
from nearfield.evaluate.words import FIRST, folded_twins, places
from nearfield.similarity.functions import unit
from nearfield.types.progress import Progress, silent

TOTAL = "total"
_WORDS, _QUESTIONS = 8192, 512  # words and questions scored at a time: 16 MB of cosines


@dataclass(frozen=True)
class SectionAccuracy:
    """Of `asked` questions of a section, `correct` were answered rightly; `unknown` more had a word
    without a vector.
    """

    section: str
    correct: int
    asked: int
    unknown: int

    @property
    def accuracy(self) -> float:
        """The share of right answers, 0 where nothing was asked."""
        return self.correct / self.asked if self.asked else 0.0


def word_analogies(
    vectors: WordVectors,
    analogies: Analogies,
    *,
    first: int = FIRST,
    fold_case: bool = True,
    unknown_is_wrong: bool = False,
    progress: Progress = silent,
) -> list[SectionAccuracy]:
    """The accuracy of 3CosAdd in each section, and in all of them under the name TOTAL.

    The answer is the word, other than a, b and c, with the greatest cosine to b - a + c, each of
    unit length (Mikolov et al. 2013; Levy & Goldberg 2014, equation 2). Only the `first` words
    count. Questions with an unknown word are left out, or are wrong where `unknown_is_wrong`. Where
    `fold_case`, words that differ in case only are one, with the vector of the first. The figures
    are those of gensim's `evaluate_word_analogies`. Raises InputError where no question is left.
    """
    known = vectors.first(first)
    found = places(
        known, [word for question in analogies.words for word in question], fold_case=fold_case
    ).reshape(-1, 4)
    there = np.asarray((found >= 0).all(1))
    if not there.any():
        raise InputError(
            f"{vectors.name} lacks a word of each of the {len(found):,} questions; "
            "are these vectors of that language?"
        )
    right = np.zeros(len(found), bool)
    right[there] = (
        _answers(known, found[there], fold_case=fold_case, progress=progress) == found[there, 3]
    )
    ends = np.cumsum([count for _, count in analogies.sections])
    parts = [
        (name, slice(end - count, end))
        for (name, count), end in zip(analogies.sections, ends, strict=True)
    ]
    return [
        SectionAccuracy(
            name,
            int(right[part].sum()),
            len(there[part]) if unknown_is_wrong else int(there[part].sum()),
            int((~there[part]).sum()),
        )
        for name, part in (*parts, (TOTAL, slice(None)))
    ]


def _answers(
    known: WordVectors, questions: Positions, *, fold_case: bool, progress: Progress
) -> Positions:
    """(n,) the place of the answer to each question (n, 4), of words alike but for case the first
    one's.
    """
    twins = folded_twins(known) if fold_case else np.arange(len(known))
    a, b, c = (unit(known.vectors[questions[:, side]].astype(np.float32)) for side in range(3))
    targets = unit(b - a + c)
    rows, barred = _barred(twins, questions[:, :3])
    best, place = np.full(len(questions), -np.inf, np.float32), np.zeros(len(questions), np.int64)
    for first in range(0, len(known), _WORDS):
        block = unit(known.vectors[first : first + _WORDS].astype(np.float32))
        for start in range(0, len(questions), _QUESTIONS):
            scores = targets[start : start + _QUESTIONS] @ block.T
            low, high = np.searchsorted(rows, [start, start + len(scores)])
            here = (barred[low:high] >= first) & (barred[low:high] < first + len(block))
            scores[rows[low:high][here] - start, barred[low:high][here] - first] = -np.inf
            column = scores.argmax(1)
            top = scores[np.arange(len(scores)), column]
            better = start + np.flatnonzero(top > best[start : start + len(scores)])
            best[better], place[better] = top[better - start], first + column[better - start]
        progress(min(first + _WORDS, len(known)), len(known))
    return twins[place]


def _barred(twins: Positions, asked: Positions) -> tuple[Positions, Positions]:
    """What may not be an answer: rows of `asked: (n, 3)`, ascending, and the places of its words
    and of those alike but for case.
    """
    order = np.argsort(twins, kind="stable")
    low, high = (
        np.searchsorted(twins[order], asked.ravel(), side=side) for side in ("left", "right")
    )
    counts = high - low
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(np.arange(asked.size) // 3, counts), order[np.repeat(low, counts) + within]
