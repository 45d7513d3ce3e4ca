"""Random token sequences of awkward lengths."""

from __future__ import annotations

import numpy as np

from nearfield.batch.packed import Packed, pack
from nearfield.batch.tokens import Tokens

LENGTHS = [1, 2, 3, 5, 16, 17, 31, 32, 33, 47, 48, 49, 64, 7, 97, 120, 0, 2]


def tokens_of(
    lengths: list[int], *, vocabulary: int = 100, prompt_tokens: int = 0, seed: int = 0
) -> Tokens:
    """Random ids, of which some are 0 and 1, the ids of padding."""
    ids = np.random.default_rng(seed).integers(0, vocabulary, sum(lengths)).astype(np.int32)
    ids[::7] = 1
    ids[::11] = 0
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Tokens(ids, offsets, np.zeros(len(lengths), np.int64), prompt_tokens)


def packed(lengths: list[int]) -> Packed:
    """Those sequences as one batch."""
    return pack(tokens_of(lengths), np.arange(len(lengths)))
