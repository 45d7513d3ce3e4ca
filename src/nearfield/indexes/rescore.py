"""Candidates to the final order: each scored once more in float64."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nearfield.indexes.scan import Rows
from nearfield.indexes.top import TopK, best, empty_top_k
from nearfield.indexes.turns import in_turns
from nearfield.kernels.library import Kernels
from nearfield.similarity.dense import Dense
from nearfield.similarity.functions import similarity
from nearfield.types.arrays import Floats, Positions

SHARE = 2_000  # candidates that are worth another thread


def rescored(
    query: Floats,
    documents: Dense,
    candidates: Positions,
    k: int,
    *,
    kernels: Kernels | None,
) -> TopK:
    """The k closest of each query's `candidates: (n, count)` (-1 for none) to its row of `query:
    (n, dim)`.

    Returns documents (n, k) int64, -1 where there are fewer, and scores (n, k) float32, -inf there.
    Scores are summed in float64 and equal ones go to the smaller document position, so that the
    order of the candidates does not matter.
    """
    found, scores = empty_top_k(len(query), k)
    rows = Rows(documents) if kernels is not None else None

    def work(turns: Iterator[int]) -> None:
        for row in turns:
            chosen = np.sort(candidates[row][candidates[row] >= 0])
            if kernels is None or rows is None:
                again = _scores(query[row], documents, chosen)
            else:
                again = _kernel_scores(query[row], rows, chosen, kernels)
            order = best(again, chosen, k)
            found[row, : len(order)] = chosen[order]
            scores[row, : len(order)] = again[order]

    in_turns(work, range(len(query)), most=min(candidates.size // SHARE, len(query)))
    return found, scores


def _scores(query: Floats, documents: Dense, chosen: Positions) -> Floats:
    exact = similarity(documents.similarity)(
        query[None].astype(np.float64), documents[chosen].floats().astype(np.float64)
    )
    rounded: Floats = exact[0].astype(np.float32)
    return rounded


def _kernel_scores(query: Floats, rows: Rows, chosen: Positions, kernels: Kernels) -> Floats:
    exact = np.empty(len(chosen), np.float64)
    asked = rows.queries(query[None])
    kernels.call("rescore", *rows.arguments, chosen, len(chosen), asked, rows.buffer(), exact)
    return exact.astype(np.float32)
