"""A shortlist by the sign of each dimension, one bit for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.indexes.exact import chosen_kernels
from nearfield.indexes.scan import QUERIES
from nearfield.indexes.shortlist import Shapes, Shortlist, comparable, listed_by_numpy, sampled
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Floats, Positions

SEED = 0  # of the rotation, which any serves
# of a query's values: five bits with the sign; Gao and Long find that more than four gain nothing
MOST = 15
SIDE = 32  # documents whose codes lie side by side: see shortlist.c
# (4, 16): which of four dimensions each pattern of four bits has
PATTERNS = (np.arange(16) >> np.arange(4)[:, None] & 1).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Signs(Shortlist):
    """One bit per dimension: RaBitQ (Gao and Long 2024).

    Vectors are moved by `mean: (dim,)`, so that signs differ, and turned by `rotation: (dim, dim)`,
    a random one, so that every bit tells as much. What is left of a document, r, has a bit for each
    r_i > 0 in `codes: (blocks, bytes, SIDE)` uint8, a byte for eight dimensions, those of SIDE
    documents side by side; `factors: (m,)`, |r|^2 over the sum of |r_i|, turns the product of a
    query and the signs into an estimate of that with r, and `offsets: (m,)`, empty where there are
    none, is added to it. A query keeps whole numbers of -15 to 15.
    """

    kind = "binary"
    kernel = "scan_signs"
    step = 32_768  # 1 MB
    codes: npt.NDArray[np.uint8]
    factors: Floats
    offsets: Floats
    mean: Floats
    rotation: Floats

    @classmethod
    def of(cls, documents: Embeddings) -> Signs:
        vectors = cls.fitting(documents)
        dim = vectors.dim
        m = len(vectors)
        # the Q of a Gaussian matrix is a rotation drawn evenly from all
        turns = np.random.default_rng(SEED).standard_normal((dim, dim))
        rotation = np.linalg.qr(turns)[0].astype(np.float32)
        mean = _mean(vectors)
        bits = np.zeros((-(-m // SIDE) * SIDE, _bytes(dim)), np.uint8)
        factors = np.empty(m, np.float32)
        offsets = np.empty(m if vectors.similarity == "euclidean" else 0, np.float32)
        start = 0
        for part in comparable(vectors):
            rows = slice(start, start + len(part))
            turned = (part - mean) @ rotation
            bits[rows, : -(-dim // 8)] = np.packbits(turned > 0, axis=1, bitorder="little")
            sums = np.abs(turned).sum(1)
            factors[rows] = np.square(turned).sum(1) / np.maximum(sums, 1e-24)
            if len(offsets):  # q.d - |d|^2 / 2 orders as -|q - d|
                offsets[rows] = -np.square(part).sum(1) / 2
            start += len(part)
        # (documents, bytes) to (blocks, bytes, SIDE)
        codes = np.ascontiguousarray(bits.reshape(-1, SIDE, bits.shape[1]).transpose(0, 2, 1))
        return cls(
            documents=vectors,
            codes=codes,
            factors=factors,
            offsets=offsets,
            mean=mean,
            rotation=rotation,
        )

    @classmethod
    def shapes(cls, documents: Dense, found: Shapes) -> Shapes:
        dim = documents.dim
        m = len(documents)
        return {
            "codes": (-(-m // SIDE), _bytes(dim), SIDE),
            "factors": (m,),
            "offsets": (m if documents.similarity == "euclidean" else 0,),
            "mean": (dim,),
            "rotation": (dim, dim),
        }

    def candidates(self, query: Floats, count: int) -> Positions:
        # the mean is not taken from queries: it adds the same to every document's product
        turned = query @ self.rotation
        step = np.abs(turned).max(1, keepdims=True) / np.float32(MOST)
        step[step == 0] = 1
        values = np.rint(turned / step)
        kernels = chosen_kernels()
        if kernels is not None:
            offsets = self.offsets if len(self.offsets) else None
            stored = (self.codes, self.codes.shape[1], self.factors, offsets)
            listed = np.empty((len(query), count), np.int64)
            for start in range(0, len(query), QUERIES):
                rows = slice(start, start + QUERIES)
                asked = self._arguments(values[rows], step[rows])
                listed[rows] = self.by_kernel(kernels, count, stored, asked)
            return listed

        def scores(rows: slice) -> Floats:
            factors = self.factors[rows]
            # rows begin at a block's beginning, and the last block is filled up
            blocks = self.codes[rows.start // SIDE : -(-rows.stop // SIDE)]
            bits = blocks.transpose(0, 2, 1).reshape(-1, self.codes.shape[1])[: len(factors)]
            ones = np.unpackbits(bits, axis=1, count=self.documents.dim, bitorder="little")
            signs = ones * np.float32(2) - 1
            product: Floats = step * (values @ signs.T) * factors
            if len(self.offsets):
                return product + self.offsets[rows]
            return product

        return listed_by_numpy(scores, len(query), len(self), count)

    def _arguments(self, values: Floats, step: Floats) -> tuple[Any, ...]:
        """What the kernel takes for queries: what the signs choose, from 0 up, and how that is
        turned into an estimate.
        """
        fours = np.zeros((len(values), 2 * self.codes.shape[1], 4), np.float32)
        fours.reshape(len(values), -1)[:, : self.documents.dim] = values
        # (queries, fours, 16): of each pattern of four bits, what the dimensions that it has sum up
        # to, above the least that any pattern gives, so that a byte holds it
        tables = fours @ PATTERNS + np.maximum(-fours, 0).sum(2, keepdims=True)
        # an entry summed up is (values . signs + sum of |values|) / 2, which the line undoes
        lowest = -step * np.abs(values).sum(1, keepdims=True)
        lines = np.concatenate([2 * step, lowest], axis=1)
        return tables.astype(np.uint8), lines.astype(np.float32)


def _mean(vectors: Dense) -> Floats:
    """(dim,) the mean of a sample of the vectors, zero of none."""
    total = np.zeros(vectors.dim, np.float32)
    seen = 0
    for part in sampled(vectors):
        total = total + part.mean(0) * len(part)
        seen += len(part)
    return (total / max(1, seen)).astype(np.float32)


def _bytes(dim: int) -> int:
    """Of a document's bits, as the kernel reads them: two at a time."""
    return -(-dim // 16) * 2
