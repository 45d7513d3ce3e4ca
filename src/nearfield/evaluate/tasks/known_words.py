"""The words of a test in word vectors: which of them count, and whether case does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearfield.data.word_vectors import WordVectors
from nearfield.types.arrays import Integers, Positions

FIRST = 300_000  # words that count, of the most frequent: gensim's restrict_vocab


def places(vectors: WordVectors, words: Sequence[str], *, fold_case: bool) -> Positions:
    """(len(words),) places of the words in `vectors`, -1 where they are not there; without regard
    to case where `fold_case`.
    """
    if not fold_case:
        return vectors.positions(words)
    # in upper case, as `folded` has the words
    found = pc.index_in(
        pa.array([word.upper() for word in words], pa.string()), value_set=vectors.folded()
    )
    placed: Positions = pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return placed


def folded_twins(vectors: WordVectors) -> Integers:
    """(n,) for each word the place of the first that is alike but for case."""
    folded = vectors.folded()
    first: Integers = pc.index_in(folded, value_set=folded).to_numpy().astype(np.int64)
    return first
