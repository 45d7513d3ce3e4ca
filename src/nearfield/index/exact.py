"""Exact search: every document is scored, a block at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.errors import ContractError, InputError
from nearfield.index.top import TopK, best, empty_top_k
from nearfield.similarity.dense import Dense
from nearfield.similarity.functions import similarity

BLOCK = 16_384  # documents decoded and scored at a time; with QUERIES rows a block of scores takes 16 MB
QUERIES = 256
SPARE = 16  # candidates kept beyond k, so that float32 rounding at the k-th place is mended when they are scored again


def exact_top_k(query: Dense, documents: Dense, k: int, *, block: int = BLOCK) -> TopK:
    """The k closest of m documents to each of n queries, by the queries' similarity.

    Returns documents (n, k) int64, -1 where there are fewer than k, and scores (n, k) float32, -inf there. `documents` may be of
    any storage type and memory-mapped: a block of them is decoded at a time. The best of float32 scores are scored once more
    in float64, so that the result does not depend on the blocks, and equal scores go to the smaller document position.
    Raises ContractError where the dims differ, InputError where k is below 1 or a score is NaN or infinite.
    """
    if query.dim != documents.dim:
        raise ContractError(f"queries have {query.dim} dimensions and documents {documents.dim}; both sides need the same model and dim")
    found, scores = empty_top_k(len(query), k)
    for start in range(0, len(query), QUERIES):
        rows = query[start : start + QUERIES]
        floats = rows.floats()
        for row, candidates in enumerate(_candidates(floats, documents, rows.similarity, k + SPARE, block)):
            exact = similarity(rows.similarity)(floats[row : row + 1].astype(np.float64), documents[candidates].floats().astype(np.float64))
            again = exact[0].astype(np.float32)
            order = best(again, candidates, k)
            found[start + row, : len(order)] = candidates[order]
            scores[start + row, : len(order)] = again[order]
    return found, scores


def _candidates(query: npt.NDArray[Any], documents: Dense, name: str, k: int, block: int) -> list[npt.NDArray[np.int64]]:
    """For each row of `query: (n, dim)` the positions of its k best documents by float32 scores, in ascending order."""
    positions = [np.empty(0, np.int64) for _ in query]
    scores = [np.empty(0, np.float32) for _ in query]
    for start in range(0, len(documents), block):
        with np.errstate(invalid="ignore", over="ignore"):
            scored = similarity(name)(query, documents[start : start + block].floats())
        if not np.isfinite(scored).all():
            column = int(np.flatnonzero(~np.isfinite(scored).all(0))[0])
            raise InputError(
                f"document {start + column} has a score of NaN or infinity: its vector or a query's is not finite or too large"
            )
        for row in range(len(query)):
            chosen = best(scored[row], np.arange(scored.shape[1]), k)
            merged = np.concatenate([positions[row], chosen + start]), np.concatenate([scores[row], scored[row][chosen]])
            kept = best(merged[1], merged[0], k)
            positions[row], scores[row] = merged[0][kept], merged[1][kept]
    return [np.sort(row) for row in positions]
