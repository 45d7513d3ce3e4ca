"""Exact search: every document is scored."""

from __future__ import annotations

from dataclasses import replace

from nearfield.errors import ContractError
from nearfield.index.rescore import rescored
from nearfield.index.scan import scan
from nearfield.index.top import TopK, empty_top_k
from nearfield.kernels.library import Kernels, kernels, runnable
from nearfield.similarity.dense import Dense

# candidates kept beyond k, so that float32 rounding at the k-th place is mended when they are
# scored again
SPARE = 16


def exact_top_k(query: Dense, documents: Dense, k: int, *, block: int | None = None) -> TopK:
    """The k closest of m documents to each of n queries, by the queries' similarity.

    Returns documents (n, k) int64, -1 where there are fewer than k, and scores (n, k) float32, -inf
    there. `documents` may be of any storage type and memory-mapped: each is read once for up to 256
    queries, by as many threads as there are processors, and decoded in a register. The best of
    float32 scores are scored once more in float64, so that the result does not depend on the
    `block` of documents that a thread takes, and equal scores go to the smaller document position.
    Raises ContractError where the dims differ, InputError where k is below 1 or a score is NaN or
    infinite.
    """
    if query.dim != documents.dim:
        raise ContractError(
            f"queries have {query.dim} dimensions and documents {documents.dim}; "
            "both sides need the same model and dim"
        )
    if not len(query) or not len(documents):
        return empty_top_k(len(query), k)
    chosen = chosen_kernels()
    asked, stored = query.floats(), replace(documents, similarity=query.similarity)
    count = min(k + SPARE, len(documents)) if k > 0 else k
    candidates, _ = scan(asked, stored, count, kernels=chosen, block=block)
    return rescored(asked, stored, candidates, k, kernels=chosen)


def chosen_kernels() -> Kernels | None:
    """The best kernels that this processor can run, or None where they were not compiled and numpy
    does the work.
    """
    return kernels() if runnable() else None
