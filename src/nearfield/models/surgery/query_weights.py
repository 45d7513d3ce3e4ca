"""What the terms of a query that is looked up weigh to begin with: how rare each is among given
texts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nearfield.batch.sequences import different
from nearfield.batch.tokens import Tokeniser
from nearfield.types.arrays import Floats, Mask

_TEXTS = 8192  # tokenised at once


def rarity(tokeniser: Tokeniser, texts: Sequence[str], usable: Mask) -> Floats:
    """(vocabulary,) float32 from 0 to 1: ln(1 + (N - n_t + .5) / (n_t + .5)) of a term t that n_t
    of N texts have, over its greatest value.

    Without texts every term weighs 1; terms that are not `usable: (vocabulary,)` weigh 0. The
    formula is BM25's, in Lucene's variant (Kamphuis et al. 2020); a factor that all weights share
    changes no ranking.
    """
    found_in = np.zeros(len(usable), np.int64)
    for start in range(0, len(texts), _TEXTS):
        tokens = tokeniser.tokenise(texts[start : start + _TEXTS])
        _, terms = different(tokens, len(usable))
        found_in += np.bincount(terms, minlength=len(usable))
    weights = np.log1p((len(texts) - found_in + 0.5) / (found_in + 0.5))
    greatest = np.log1p((len(texts) + 0.5) / 0.5)  # of a term that no text has
    return np.where(usable, weights / greatest, 0.0).astype(np.float32)
