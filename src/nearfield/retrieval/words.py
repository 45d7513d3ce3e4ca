"""The words nearest to a word, or to a sum and difference of words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nearfield.data.word_vectors import WordVectors
from nearfield.errors import InputError
from nearfield.similarity.functions import unit
from nearfield.types.arrays import Floats

_BLOCK = 65_536  # words scored at a time


def nearest_words(
    vectors: WordVectors, positive: Sequence[str], *, negative: Sequence[str] = (), k: int = 10
) -> list[tuple[str, float]]:
    """The k words closest to the sum of `positive` less the sum of `negative`, with their cosine,
    best first.

    Each word counts with unit length, and none of the words asked for is given back: "king" and
    "woman" less "man" is 3CosAdd (Mikolov et al. 2013; Levy & Goldberg 2014, equation 2). Equal
    cosines go to the earlier word. Raises InputError for a word that is not there, for no word at
    all, and for k below 1.
    """
    asked = [*positive, *negative]
    if not asked or k < 1:
        raise InputError(
            f"got {len(asked)} words and k = {k}; wanted a word at least and k of at least 1"
        )
    places = vectors.positions(asked)
    missing = [word for word, place in zip(asked, places, strict=True) if place < 0]
    if missing:
        raise InputError(
            f"{vectors.name} has no word {', '.join(map(repr, missing))}; its {len(vectors):,} "
            "words are read as they are written"
        )
    own = unit(vectors.vectors[places].astype(np.float32))
    own[len(positive) :] *= -1
    target = unit(own.sum(0, keepdims=True))
    scores = cosines(vectors.vectors, target)[:, 0]
    scores[places] = -np.inf
    # a k past it would give back the words asked for, at -inf
    others = len(vectors) - len(np.unique(places))
    order = np.argsort(-scores, kind="stable")[: min(k, others)]
    return [(vectors.word(int(place)), float(scores[place])) for place in order]


def cosines(vectors: Floats, targets: Floats) -> Floats:
    """(n, m) cosines of vectors (n, dim), which may be memory-mapped, with targets (m, dim) of unit
    length.
    """
    blocks = [
        # a block at a time, as a mapped file may be larger than memory
        unit(vectors[start : start + _BLOCK].astype(np.float32)) @ targets.T
        for start in range(0, len(vectors), _BLOCK)
    ]
    joined: Floats = np.concatenate(blocks)
    return joined
