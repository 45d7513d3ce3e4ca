"""Word vectors against people's judgement of how alike two words are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nearfield.data.word_vectors import WordVectors
from nearfield.errors import InputError
from nearfield.evaluate.words import FIRST, places
from nearfield.similarity.functions import unit
from nearfield.statistics.finite import finite


@dataclass(frozen=True)
class WordSimilarity:
    """Correlation of cosines with the scores of `pairs` pairs; `unknown` of those in the test had a
    word without a vector.
    """

    spearman: float
    pearson: float
    pairs: int
    unknown: int


def word_similarity(
    vectors: WordVectors,
    pairs: Sequence[tuple[str, str, float]],
    *,
    first: int = FIRST,
    fold_case: bool = True,
    unknown_is_zero: bool = False,
) -> WordSimilarity:
    """The correlation of the cosine of two words with the score that people gave them.

    Only the `first` words of `vectors` count. Pairs with an unknown word are left out, or have the
    similarity 0 where `unknown_is_zero`. The figures are those of gensim's `evaluate_word_pairs`
    (its restrict_vocab, case_insensitive and dummy4unknown). Raises InputError where fewer than two
    pairs are left, and for a score that is not finite.
    """
    known = vectors.first(first)
    found = places(
        known, [word for a, b, _ in pairs for word in (a, b)], fold_case=fold_case
    ).reshape(-1, 2)
    there = (found >= 0).all(1)
    kept = np.ones(len(found), bool) if unknown_is_zero else there
    if kept.sum() < 2:
        raise InputError(
            f"{vectors.name} knows both words of {int(kept.sum())} of {len(pairs)} "
            "pairs; wanted two at least"
        )
    predicted = np.zeros(len(found), np.float64)
    left, right = (unit(known.vectors[found[there, side]].astype(np.float32)) for side in (0, 1))
    predicted[there] = (left * right).sum(1)
    gold = finite([score for _, _, score in pairs], "score")
    correlations = [
        float(test(gold[kept], predicted[kept]).statistic)
        for test in (stats.spearmanr, stats.pearsonr)
    ]
    return WordSimilarity(correlations[0], correlations[1], int(kept.sum()), int((~there).sum()))
