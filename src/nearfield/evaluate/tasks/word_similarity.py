"""Word similarity: do words that people find more alike have closer vectors?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from nearfield.data.readers.word_tests import WordPairs, read_word_pairs
from nearfield.data.word_vectors import WordVectors
from nearfield.errors import InputError
from nearfield.evaluate.tasks.known_words import FIRST, places
from nearfield.evaluate.tasks.word_task import WordTask
from nearfield.similarity.functions import unit
from nearfield.statistics.correlation import SPEARMAN, Spearman
from nearfield.statistics.finite import finite
from nearfield.types.arrays import Doubles, Mask
from nearfield.types.progress import Progress


class WordSimilarity(WordTask):
    """Pairs of words with a score by people: a pair's value is the cosine of its words."""

    name = "word-similarity"
    takes = "a published test of word similarity"
    item = "pair"
    measures = (SPEARMAN,)
    made_of = WordPairs
    unknown = "their similarity is 0"
    read = staticmethod(read_word_pairs)

    @cached_property
    def statistic(self) -> Spearman:  # type: ignore[override]
        """The correlation with people's scores."""
        return Spearman(self.data.scores)

    def values(self, vectors: WordVectors, progress: Progress) -> tuple[Doubles, Mask]:
        """Each pair's cosine."""
        return cosines(vectors, self.data)


@dataclass(frozen=True)
class WordCorrelation:
    """Correlation of cosines with the scores of `pairs` pairs; `unknown` of those in the test had a
    word without a vector.
    """

    spearman: float
    pearson: float
    pairs: int
    unknown: int


def word_similarity(
    vectors: WordVectors,
    pairs: WordPairs,
    *,
    first: int = FIRST,
    fold_case: bool = True,
    unknown_is_zero: bool = False,
) -> WordCorrelation:
    """The correlation of the cosine of two words with the score that people gave them.

    Only the `first` words of `vectors` count. Pairs with an unknown word are left out, or have the
    similarity 0 where `unknown_is_zero`. The figures are those of gensim's `evaluate_word_pairs`
    (its restrict_vocab, case_insensitive and dummy4unknown). Raises InputError where fewer than two
    pairs are left, and for a score that is not finite.
    """
    predicted, known = cosines(vectors, pairs, first=first, fold_case=fold_case)
    kept = np.ones(len(known), bool) if unknown_is_zero else known
    if kept.sum() < 2:
        raise InputError(
            f"{vectors.name} knows both words of {int(kept.sum())} of {len(known)} "
            "pairs; wanted at least two"
        )
    gold = finite(pairs.scores, "score")
    spearman = float(stats.spearmanr(gold[kept], predicted[kept]).statistic)
    pearson = float(stats.pearsonr(gold[kept], predicted[kept]).statistic)
    return WordCorrelation(spearman, pearson, int(kept.sum()), int((~known).sum()))


def cosines(
    vectors: WordVectors, pairs: WordPairs, *, first: int = FIRST, fold_case: bool = True
) -> tuple[Doubles, Mask]:
    """Each pair's cosine, 0 where a word is unknown, and which pairs are known, both (n,)."""
    known = vectors.first(first)
    words = [word for pair in pairs.words for word in pair]
    found = places(known, words, fold_case=fold_case).reshape(-1, 2)
    there = np.asarray((found >= 0).all(1))
    left, right = (unit(known.vectors[found[there, side]].astype(np.float32)) for side in (0, 1))
    values = np.zeros(len(found), np.float64)
    values[there] = (left * right).sum(1)
    return values, there
