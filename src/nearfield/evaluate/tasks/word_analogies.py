"""Word vectors on analogies: a is to b as c is to which word?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nearfield.batch.sequences import laid_out
from nearfield.data.readers.word_tests import Analogies, read_analogies
from nearfield.data.word_vectors import WordVectors
from nearfield.errors import InputError
from nearfield.evaluate.tasks.known_words import FIRST, folded_twins, places
from nearfield.evaluate.tasks.word_task import WordTask
from nearfield.similarity.functions import unit
from nearfield.types.arrays import Doubles, Mask, Positions
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


class WordAnalogies(WordTask):
    """Questions "a is to b as c is to which word?": 1 where 3CosAdd answers rightly."""

    name = "word-analogies"
    takes = "a published test of word analogies"
    item = "question"
    measures = ("Accuracy",)
    made_of = Analogies
    unknown = "they count as wrong"
    read = staticmethod(read_analogies)

    def values(self, vectors: WordVectors, progress: Progress) -> tuple[Doubles, Mask]:
        """Which questions are answered rightly."""
        right, known = answered(vectors, self.data, progress=progress)
        return right.astype(np.float64), known


def word_analogies(
    vectors: WordVectors,
    analogies: Analogies,
    *,
    first: int = FIRST,
    fold_case: bool = True,
    progress: Progress = silent,
) -> list[SectionAccuracy]:
    """The accuracy of `answered` in each section, and in all of them under the name TOTAL.

    Questions with an unknown word are left out. The figures are those of gensim's
    `evaluate_word_analogies`. Raises InputError as `answered` does.
    """
    right, known = answered(vectors, analogies, first=first, fold_case=fold_case, progress=progress)
    sections = []
    start = 0
    for name, count in analogies.sections:
        rows = slice(start, start + count)
        sections.append(_section(name, right[rows], known[rows]))
        start += count
    return [*sections, _section(TOTAL, right, known)]


def _section(name: str, right: Mask, known: Mask) -> SectionAccuracy:
    return SectionAccuracy(name, int(right.sum()), int(known.sum()), int((~known).sum()))


def answered(
    vectors: WordVectors,
    analogies: Analogies,
    *,
    first: int = FIRST,
    fold_case: bool = True,
    progress: Progress = silent,
) -> tuple[Mask, Mask]:
    """Which questions 3CosAdd answers rightly, and which have known words only, both (n,).

    The answer is the word, other than a, b and c, with the greatest cosine to b - a + c, each of
    unit length (Mikolov et al. 2013; Levy & Goldberg 2014, equation 2). Only the `first` words
    count. Where `fold_case`, words that differ in case only are one, with the vector of the first.
    Raises InputError where no question has known words only.
    """
    known = vectors.first(first)
    words = [word for question in analogies.words for word in question]
    found = places(known, words, fold_case=fold_case).reshape(-1, 4)
    there = np.asarray((found >= 0).all(1))
    if not there.any():
        raise InputError(
            f"{vectors.name} lacks a word of each of the {len(found):,} questions; "
            "are these vectors of that language?"
        )
    right = np.zeros(len(found), bool)
    answers = _answers(known, found[there], fold_case=fold_case, progress=progress)
    right[there] = answers == found[there, 3]
    return right, there


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
    best = np.full(len(questions), -np.inf, np.float32)
    place = np.zeros(len(questions), np.int64)
    # a block of words against a block of questions at a time, the best of all blocks kept
    for first in range(0, len(known), _WORDS):
        block = unit(known.vectors[first : first + _WORDS].astype(np.float32))
        for start in range(0, len(questions), _QUESTIONS):
            scores = targets[start : start + _QUESTIONS] @ block.T
            # the barred words of these questions, and of those the ones in this block
            low, high = np.searchsorted(rows, [start, start + len(scores)])
            here = (barred[low:high] >= first) & (barred[low:high] < first + len(block))
            scores[rows[low:high][here] - start, barred[low:high][here] - first] = -np.inf
            column = scores.argmax(1)
            top = scores[np.arange(len(scores)), column]
            # strictly above, so that equal cosines go to the earlier word
            better = np.flatnonzero(top > best[start : start + len(scores)])
            best[start + better] = top[better]
            place[start + better] = first + column[better]
        progress(min(first + _WORDS, len(known)), len(known))
    return twins[place]


def _barred(twins: Positions, asked: Positions) -> tuple[Positions, Positions]:
    """What may not be an answer: rows of `asked: (n, 3)`, ascending, and the places of its words
    and of those alike but for case.
    """
    # words alike but for case stand side by side in `order`, those of a word from low to high
    order = np.argsort(twins, kind="stable")
    low = np.searchsorted(twins[order], asked.ravel(), side="left")
    high = np.searchsorted(twins[order], asked.ravel(), side="right")
    counts = high - low
    rows = np.repeat(np.arange(asked.size) // 3, counts)
    alike, _ = laid_out(low, counts)
    return rows, order[alike]
