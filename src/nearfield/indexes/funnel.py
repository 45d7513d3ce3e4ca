"""A shortlist by the first dimensions of each vector, one byte for each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearfield.errors import ContractError
from nearfield.indexes.exact import chosen_kernels
from nearfield.indexes.shortlist import Shapes, Shortlist, comparable, listed_by_numpy, sampled
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.storages import INT8
from nearfield.types.arrays import Floats, Positions

STEP = 32  # bytes that the kernel reads at once: codes are made up to whole steps
MOST = 63  # of a query's values: see shortlist.c
PARTS = (6, 4, 3, 2, 1)  # of the dimensions: what is kept of them is one of these parts


@dataclass(frozen=True, kw_only=True)
class Funnel(Shortlist):
    """The first `basis.shape[1]` dimensions, one byte for each.

    A model that was trained for it (Matryoshka, Kusupati et al. 2022) has what matters most in its
    first dimensions. Every model's vectors can be turned so: `basis: (dim, kept)` holds the
    directions in which they are longest, the eigenvectors of their second moments, and products of
    turned vectors are those of the vectors. `codes: (m, width)` uint8, zero beyond `kept`, with
    `ranges: (2, kept)` as `Dense.quantise` makes them; `offsets: (m,)` is what is added to a
    document's product.
    """

    kind = "funnel"
    kernel = "scan_codes"
    step = 16_384
    codes: npt.NDArray[np.uint8]
    ranges: Floats
    basis: Floats
    offsets: Floats

    @classmethod
    def of(cls, documents: Embeddings, *, kept: int | None = None, turn: bool = True) -> Funnel:
        """See Index.of. `kept` dimensions, a quarter when not given; of the vectors as they are
        where `turn` is false.

        Raises ContractError for more dimensions than there are.
        """
        vectors = cls.fitting(documents)
        dim = vectors.dim
        if kept is None:
            kept = _part(dim, 4)
        if not 0 < kept <= dim:
            raise ContractError(
                f"a funnel of {kept} dimensions was asked for; these vectors have {dim}"
            )
        basis = np.eye(dim, kept, dtype=np.float32)
        ranges = np.ones((2, kept), np.float32)
        if turn and len(vectors):
            basis = _longest(vectors, kept)
        if len(vectors):
            ranges = _ranges(vectors, basis)
        codes = np.zeros((len(vectors), -(-kept // STEP) * STEP), np.uint8)
        offsets = np.zeros(len(vectors), np.float32)
        start = 0
        for part in comparable(vectors):
            rows = slice(start, start + len(part))
            codes[rows, :kept] = INT8.encode(part @ basis, ranges)
            if vectors.similarity == "euclidean":  # q.d - |d|^2 / 2 orders as -|q - d|
                offsets[rows] = -np.square(part).sum(1) / 2
            start += len(part)
        return cls(documents=vectors, codes=codes, ranges=ranges, basis=basis, offsets=offsets)

    @classmethod
    def sizes(cls, documents: Dense) -> Iterator[Funnel]:
        for kept in dict.fromkeys(_part(documents.dim, by) for by in PARTS):
            yield cls.of(documents, kept=kept)

    @classmethod
    def shapes(cls, documents: Dense, found: Shapes) -> Shapes:
        m = len(documents)
        kept = math.prod(found["basis"]) // documents.dim
        return {
            "codes": (m, -(-kept // STEP) * STEP),
            "ranges": (2, kept),
            "basis": (documents.dim, kept),
            "offsets": (m,),
        }

    def candidates(self, query: Floats, count: int) -> Positions:
        # a dimension is its least value plus its code's steps: what the least values add to a
        # product is the same for every document, and left out
        weights = (query @ self.basis) * self.ranges[1]
        scales = np.abs(weights).max(1) / np.float32(MOST)
        scales[scales == 0] = 1
        asked = np.zeros((len(query), self.codes.shape[1]), np.int8)
        asked[:, : weights.shape[1]] = np.rint(weights / scales[:, None])
        kernels = chosen_kernels()
        if kernels is not None:
            stored = (self.codes, self.offsets, self.codes.shape[1])
            return self.by_kernel(kernels, count, stored, (asked, scales))

        def scores(rows: slice) -> Floats:
            # whole numbers below 2^24 are exact in float32 up to 1,000 dimensions, and float64
            # holds them all
            product = asked.astype(np.float64) @ self.codes[rows].T.astype(np.float64)
            scored: Floats = product.astype(np.float32) * scales[:, None] + self.offsets[rows]
            return scored

        return listed_by_numpy(scores, len(query), len(self), count)


def _part(dim: int, by: int) -> int:
    """The `by`-th part of the dimensions, made up to whole steps."""
    return min(dim, -(-dim // (by * STEP)) * STEP)


def _longest(vectors: Dense, kept: int) -> Floats:
    """(dim, kept) the directions in which a sample of the vectors is longest, the longest first."""
    moments = sum(part.T @ part for part in sampled(vectors))
    directions = np.linalg.eigh(moments)[1][:, ::-1]  # eigh has the shortest first
    return np.ascontiguousarray(directions[:, :kept], np.float32)


def _ranges(vectors: Dense, basis: Floats) -> Floats:
    """The least value and the step of each dimension of turned vectors, by a sample: (2, kept)."""
    extremes = []
    for part in sampled(vectors):
        turned = part @ basis
        extremes += [turned.min(0), turned.max(0)]
    return INT8.ranges(np.stack(extremes))
