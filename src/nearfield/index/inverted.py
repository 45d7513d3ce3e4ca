"""An inverted index: for each term the documents that have it, with its weight in each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearfield.errors import ContractError, InputError
from nearfield.index.exact import chosen_kernels
from nearfield.index.scan import NOWHERE, merged
from nearfield.index.top import TopK, best, empty_top_k
from nearfield.index.turns import in_turns, processors
from nearfield.kernels.library import Kernels
from nearfield.similarity.sparse import Sparse

# documents whose sums are kept at a time: 256 KiB, which a second-level cache holds
BLOCK = 1 << 16
QUERIES = 16  # that a thread takes at a time

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Inverted:
    """The columns of m sparse vectors.

    Term t is in `documents[starts[t]:starts[t + 1]]` (int32, rising), with `weights[...]` (float32)
    there; `starts`: (terms + 1,) int64; `items` is m.
    """

    starts: Numbers
    documents: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    items: int

    @classmethod
    def of(cls, vectors: Sparse) -> Inverted:
        """From the documents' sparse vectors. Raises InputError for more than 2^31 documents."""
        if len(vectors) > np.iinfo(np.int32).max:
            raise InputError(
                f"{len(vectors)} documents are too many for one index; wanted fewer "
                "than 2^31: make several"
            )
        vectors.check_terms()  # what is made of them is written and read as far as they say
        columns = vectors.matrix().tocsc()
        return cls(
            columns.indptr.astype(np.int64),
            columns.indices.astype(np.int32),
            columns.data.astype(np.float32),
            len(vectors),
        )

    def __len__(self) -> int:
        return self.items

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.starts.nbytes + self.documents.nbytes + self.weights.nbytes

    def top_k(self, query: Sparse, k: int) -> TopK:
        """The k documents with the highest dot product with each of n queries; see `search`. Raises
        ContractError for other terms.
        """
        if query.dim != len(self.starts) - 1:
            raise ContractError(
                f"queries are over {query.dim} terms and the index over "
                f"{len(self.starts) - 1}; both need one vocabulary"
            )
        query.check_terms()
        return self.search(
            query.terms.astype(np.int64), query.weights.astype(np.float32), query.offsets, k
        )

    def search(
        self, terms: Numbers, weights: npt.NDArray[np.float32], offsets: Numbers, k: int
    ) -> TopK:
        """The k documents with the highest sum of products of weights, for each of n queries; equal
        sums go to the smaller position.

        Query i has terms[offsets[i]:offsets[i + 1]] (one may come twice) with `weights` of their
        own. Returns documents (n, k) int64, -1 where fewer than k documents have a sum above 0, and
        scores (n, k) float32, -inf there.
        """
        found, scores = empty_top_k(len(offsets) - 1, k)
        if not len(found) or not self.items:
            return found, scores
        kernels = chosen_kernels()
        if kernels is not None:
            return self._by_kernel(terms, weights, offsets, k, kernels)
        for row in range(len(found)):
            sums = np.zeros(self.items, np.float32)
            for at in range(offsets[row], offsets[row + 1]):
                here = slice(self.starts[terms[at]], self.starts[terms[at] + 1])
                sums[self.documents[here]] += weights[at] * self.weights[here]
            matched = np.flatnonzero(sums > 0)
            order = best(sums[matched], matched, k)
            found[row, : len(order)], scores[row, : len(order)] = (
                matched[order],
                sums[matched[order]],
            )
        return found, scores

    def _by_kernel(
        self,
        terms: Numbers,
        weights: npt.NDArray[np.float32],
        offsets: Numbers,
        k: int,
        kernels: Kernels,
    ) -> TopK:
        n, count = len(offsets) - 1, min(k, self.items)
        scores = np.full((n, count), -np.inf, np.float32)
        found = np.full((n, count), NOWHERE, np.int64)
        block = min(BLOCK, self.items)

        def work(turns: Iterator[int]) -> None:
            sums = np.zeros(block, np.float32)
            places = np.empty(max(1, int(np.diff(offsets).max())), np.int64)
            for start in turns:
                part = np.array([start, min(start + QUERIES, n)], np.int64)
                asked = terms, weights, offsets, part, places, sums, block, self.items
                kernels.call(
                    "search_postings",
                    self.starts,
                    self.documents,
                    self.weights,
                    *asked,
                    scores,
                    found,
                    count,
                )

        starts = range(0, n, QUERIES)
        in_turns(work, starts, threads=min(processors(), len(starts)))
        filled = empty_top_k(n, k)
        filled[0][:, :count], filled[1][:, :count] = merged([(found, scores)], count)
        return filled
