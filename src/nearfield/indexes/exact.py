"""Exact search over dense vectors: every document is scored."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nearfield.indexes.index import Index, allowed, ranking_of
from nearfield.indexes.rescore import rescored
from nearfield.indexes.scan import Rows, merged, scan
from nearfield.indexes.top import empty_top_k
from nearfield.kernels.library import Kernels, kernels, runnable
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Floats, Mask, Positions
from nearfield.types.ranking import Ranking

# candidates kept beyond k, so that float32 rounding at the k-th place is corrected when they are
# scored again
SPARE = 16
# documents copied at a time where only some may be found
PIECE = 1 << 16


@dataclass(frozen=True)
class Exact(Index[Dense]):
    """Dense vectors of any storage type, which may be memory-mapped.

    Each is read once for up to 256 queries, by as many threads as there are processors, and decoded
    in a register. The best of float32 scores are scored once more in float64, so that the result
    does not depend on the `block` of documents that a thread takes.
    """

    kind = "exact"
    takes = Dense
    documents: Dense
    block: int | None = None

    @classmethod
    def of(cls, documents: Embeddings) -> Exact:
        return cls(cls.fitting(documents))

    def search(self, query: Embeddings, k: int, *, where: Mask | None = None) -> Ranking:
        """See Index.search: by the queries' similarity. Raises InputError where a score is NaN or
        infinite.
        """
        asked = self.fitting(query)
        asked.check_space(self.documents)
        positions = allowed(where, len(self))
        stored = replace(self.documents, similarity=asked.similarity)
        found = empty_top_k(len(asked), k)
        if len(asked) and len(stored if positions is None else positions):
            by = dense_kernels(stored)
            floats = asked.floats()
            candidates = self._candidates(floats, stored, positions, k + SPARE)
            found = rescored(floats, stored, candidates, k, kernels=by)
        return ranking_of(found)

    def _candidates(
        self, query: Floats, stored: Dense, positions: Positions | None, most: int
    ) -> Positions:
        """(n, up to `most`) the positions of the best documents, of those at `positions` alone
        where they are given: some of these are copied at a time, never all.
        """
        by = dense_kernels(stored)
        if positions is None:
            k = min(most, len(stored))
            return scan(query, stored, k, kernels=by, block=self.block)[0]
        parts = []
        for start in range(0, len(positions), PIECE):
            some = positions[start : start + PIECE]
            k = min(most, len(some))
            found, scores = scan(query, stored[some], k, kernels=by, block=self.block, names=some)
            parts.append((np.append(some, -1)[found], scores))  # -1, for none, stays -1
        return merged(parts, most)[0]


def chosen_kernels() -> Kernels | None:
    """The best kernels that this processor can run, or None where they were not compiled and numpy
    does the work.
    """
    return kernels() if runnable() else None


def dense_kernels(documents: Dense) -> Kernels | None:
    """The same, or None where the kernels do not know the storage type or the similarity."""
    return chosen_kernels() if Rows.known(documents) else None
