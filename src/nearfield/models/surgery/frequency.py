"""How often texts use each token of a vocabulary, and what weight the rare ones get."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nearfield.batch.tokens import Tokeniser
from nearfield.types.arrays import Floats, Integers
from nearfield.types.progress import Progress, silent

CHUNK = 4096  # texts tokenised at once


def token_counts(
    tokeniser: Tokeniser, texts: Sequence[str], size: int, *, progress: Progress = silent
) -> Integers:
    """(size,) how often the texts have each token."""
    counts = np.zeros(size, np.int64)
    for start in range(0, len(texts), CHUNK):
        tokens = tokeniser.tokenise(texts[start : start + CHUNK])
        counts += np.bincount(tokens.ids, minlength=size)
        progress(min(start + CHUNK, len(texts)), len(texts))
    return counts


def inverse_frequency(counts: Integers, a: float) -> Floats:
    """a / (a + p) of each token, p its share of `counts`; 1 for what was never counted."""
    shares = counts / max(int(counts.sum()), 1)
    weights: Floats = (a / (a + shares)).astype(np.float32)
    return weights
