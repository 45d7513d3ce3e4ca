"""An inverted index: for each term the documents that have it, with its weight in each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nearfield.batch.sequences import offsets_of
from nearfield.errors import ContractError, InputError
from nearfield.indexes.exact import chosen_kernels
from nearfield.indexes.index import Index, allowed, ranking_of
from nearfield.indexes.scan import NOWHERE, merged
from nearfield.indexes.top import TopK, best, empty_top_k
from nearfield.indexes.turns import in_turns
from nearfield.kernels.library import Kernels
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.sparse import Sparse
from nearfield.types.arrays import Floats, Integers, Mask
from nearfield.types.ranking import Ranking

if TYPE_CHECKING:
    from scipy.sparse import csc_array

# documents that are inverted, and whose sums are kept, at a time: 256 KiB of a second-level cache
BLOCK = 1 << 16
QUERIES = 16  # that a thread takes at a time


@dataclass(frozen=True)
class Inverted(Index[Sparse]):
    """The columns of m sparse vectors, compared by their dot product.

    Term t is in `documents[starts[t]:starts[t + 1]]` (int32, rising), with `weights[...]` (float32)
    there; `starts`: (terms + 1,) int64; `items` is m.
    """

    kind = "inverted"
    takes = Sparse
    starts: Integers
    documents: npt.NDArray[np.int32]
    weights: Floats
    items: int

    @classmethod
    def of(cls, documents: Embeddings) -> Inverted:
        """See Index.of. Raises InputError for more than 2^31 documents, ContractError for negative
        weights and for another similarity than the dot product.
        """
        vectors = cls.fitting(documents)
        if len(vectors) > np.iinfo(np.int32).max:
            raise InputError(
                f"{len(vectors)} documents are too many for one index; wanted fewer "
                "than 2^31: make several"
            )
        if not vectors.inverts:
            raise ContractError(
                "an inverted index is for dot products of weights that are not negative; "
                "use the index scored"
            )
        vectors.check_terms()  # what is made of them is written and read as far as they say
        starts = offsets_of(vectors.found_in)
        postings = np.empty(starts[-1], np.int32)
        weights = np.empty(starts[-1], np.float32)
        free = starts[:-1].copy()
        for first in range(0, len(vectors), BLOCK):
            columns = _columns(vectors, first)
            counts = np.diff(columns.indptr)
            # a term's postings of this block go behind those of the blocks before
            places = np.arange(columns.nnz) + np.repeat(free - columns.indptr[:-1], counts)
            postings[places] = columns.indices + first
            weights[places] = columns.data
            free += counts
        return cls(starts, postings, weights, len(vectors))

    def __len__(self) -> int:
        return self.items

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.starts.nbytes + self.documents.nbytes + self.weights.nbytes

    def search(self, query: Embeddings, k: int, *, where: Mask | None = None) -> Ranking:
        """See Index.search. A document that shares no term with a query is not found.

        The terms of a query may stand in any order, and one that stands twice counts twice. Queries
        with negative weights find every document.
        """
        asked = self.fitting(query)
        terms = len(self.starts) - 1
        if asked.dim != terms:
            raise ContractError(
                f"queries are over {asked.dim} terms and the index over {terms}; "
                "both need one vocabulary"
            )
        outside = (asked.terms < 0) | (asked.terms >= terms)
        if outside.any():  # the kernel looks up what they say
            raise InputError(f"a query has terms that are not between 0 and {terms - 1}")
        positions = allowed(where, self.items)
        index = self if positions is None else self._part(positions)
        return ranking_of(index._top_k(asked, k), positions)

    def _part(self, positions: Integers) -> Inverted:
        """The index of the documents at these ascending positions alone."""
        # (items,) the new number of each document, -1 where it is left out
        places = np.full(self.items, -1, np.int32)
        places[positions] = np.arange(len(positions))
        kept = places[self.documents] >= 0
        before = offsets_of(kept)  # how many postings are kept before each
        return replace(
            self,
            starts=before[self.starts],
            documents=places[self.documents[kept]],
            weights=self.weights[kept],
            items=len(positions),
        )

    def _top_k(self, query: Sparse, k: int) -> TopK:
        found, scores = empty_top_k(len(query), k)
        if not len(query) or not self.items:
            return found, scores
        terms = query.terms.astype(np.int64)
        weights = query.weights.astype(np.float32)
        kernels = chosen_kernels()
        if kernels is not None and query.inverts:
            count = min(k, self.items)
            listed = self._by_kernel((terms, weights, query.offsets), count, kernels)
            found[:, :count], scores[:, :count] = listed
            return found, scores
        for row in range(len(found)):
            sums = np.zeros(self.items, np.float32)
            for at in range(query.offsets[row], query.offsets[row + 1]):
                # a document is there once for a term, so that += loses nothing
                here = slice(self.starts[terms[at]], self.starts[terms[at] + 1])
                sums[self.documents[here]] += weights[at] * self.weights[here]
            matched = np.arange(self.items)
            if query.inverts:  # with negative weights a sum of 0 may be a match's
                matched = np.flatnonzero(sums > 0)
            order = best(sums[matched], matched, k)
            found[row, : len(order)] = matched[order]
            scores[row, : len(order)] = sums[matched[order]]
        return found, scores

    def _by_kernel(
        self, asked: tuple[Integers, Floats, Integers], count: int, kernels: Kernels
    ) -> TopK:
        offsets = asked[2]
        n = len(offsets) - 1
        scores = np.full((n, count), -np.inf, np.float32)
        found = np.full((n, count), NOWHERE, np.int64)
        block = min(BLOCK, self.items)
        columns = (self.starts, self.documents, self.weights)

        def work(turns: Iterator[int]) -> None:
            sums = np.zeros(block, np.float32)
            places = np.empty(max(1, int(np.diff(offsets).max())), np.int64)
            for start in turns:
                part = np.array([start, min(start + QUERIES, n)], np.int64)
                room = (part, places, sums, block, self.items)
                kernels.call("search_postings", *columns, *asked, *room, scores, found, count)

        starts = range(0, n, QUERIES)
        in_turns(work, starts, most=len(starts))
        return merged([(found, scores)], count)


def _columns(vectors: Sparse, first: int) -> csc_array:
    """The next `BLOCK` vectors from `first` on, by terms."""
    from scipy.sparse import csr_array

    offsets = vectors.offsets[first : first + BLOCK + 1]
    here = slice(offsets[0], offsets[-1])
    weights = vectors.weights[here].astype(np.float32)
    rows = (weights, vectors.terms[here], offsets - offsets[0])
    return csr_array(rows, shape=(len(offsets) - 1, vectors.dim)).tocsc()
