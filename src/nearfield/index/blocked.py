"""Exact search over embeddings of any kind: each document is scored as its kind says, a block at a
time.
"""

from __future__ import annotations

import numpy as np

from nearfield.errors import InputError
from nearfield.index.top import TopK, best, empty_top_k
from nearfield.similarity.embeddings import Embeddings

BLOCK = 16_384  # documents scored at a time; with QUERIES rows a block of scores takes 4 MB
QUERIES = 64


def blocked_top_k(query: Embeddings, documents: Embeddings, k: int, *, block: int = BLOCK) -> TopK:
    """The k closest of m documents to each of n queries by `query.scores`; equal scores go to the
    smaller position.

    Returns documents (n, k) int64, -1 where there are fewer than k that have a score above -inf,
    and scores (n, k) float32, -inf there. Raises InputError where k is below 1 or a score is NaN.
    """
    found, scores = empty_top_k(len(query), k)
    for start in range(0, len(documents), block):
        part = documents[start : start + block]
        for first in range(0, len(query), QUERIES):
            scored = query[first : first + QUERIES].scores(part)
            if np.isnan(scored).any():
                column = int(np.flatnonzero(np.isnan(scored).any(0))[0])
                raise InputError(
                    f"document {start + column} has a score of NaN: its vectors or a "
                    "query's are not finite"
                )
            for row, own in enumerate(scored, first):
                chosen = best(own, np.arange(len(own)), k)
                places = np.concatenate([found[row], chosen + start])
                values = np.concatenate([scores[row], own[chosen]])
                real = np.flatnonzero((places >= 0) & (values > -np.inf))
                kept = real[best(values[real], places[real], k)]
                found[row, : len(kept)], scores[row, : len(kept)] = places[kept], values[kept]
    return found, scores
