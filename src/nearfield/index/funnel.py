"""A shortlist by the first dimensions of each vector, a byte each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from nearfield.errors import ContractError
from nearfield.index.exact import chosen_kernels
from nearfield.index.scan import heaps
from nearfield.index.shortlist import (
    Floats,
    Shortlist,
    best_of_blocks,
    comparable,
    sampled,
    unfitted,
)
from nearfield.kernels.library import Kernels
from nearfield.similarity.dense import Dense

STEP = 32  # bytes that the kernel reads at once: codes are made up to whole steps
MOST = 63  # of a query's values: see shortlist.c
SHARE = 16_384  # documents that a thread takes at a time
PARTS = (6, 4, 3, 2, 1)  # of the dimensions: what is kept of them is one of these parts


@dataclass(frozen=True)
class Funnel(Shortlist):
    """The first `basis.shape[1]` dimensions, a byte each.

    A model that was trained for it (Matryoshka, Kusupati et al. 2022) has what matters most in its
    first dimensions. Every model's vectors can be turned so: `basis: (dim, kept)` holds the
    directions in which they are longest, the eigenvectors of their second moments, and products of
    turned vectors are those of the vectors. `codes: (m, width)` uint8, zero beyond `kept`, with
    `ranges: (2, kept)` as `Dense.quantise` makes them; `offsets: (m,)` is what is added to a
    document's product.
    """

    kind: ClassVar[str] = "funnel"
    codes: npt.NDArray[np.uint8]
    ranges: Floats
    basis: Floats
    offsets: Floats

    @classmethod
    def of(cls, documents: Dense, *, kept: int | None = None, turn: bool = True) -> Funnel:
        """See Shortlist.of. `kept` dimensions, a quarter when not given; of the vectors as they are
        where `turn` is false.

        Raises ContractError for more dimensions than there are.
        """
        kept = _part(documents.dim, 4) if kept is None else kept
        if not 0 < kept <= documents.dim:
            raise ContractError(
                f"a funnel of {kept} dimensions was asked for; these vectors have {documents.dim}"
            )
        basis = np.eye(documents.dim, kept, dtype=np.float32)
        if turn and len(documents):
            moments = sum(part.T @ part for part in sampled(documents))
            basis = np.ascontiguousarray(np.linalg.eigh(moments)[1][:, ::-1][:, :kept], np.float32)
        ranges = (
            _ranges(part @ basis for part in sampled(documents))
            if len(documents)
            else np.ones((2, kept), np.float32)
        )
        codes = np.zeros((len(documents), -(-kept // STEP) * STEP), np.uint8)
        offsets = np.zeros(len(documents), np.float32)
        start = 0
        for part in comparable(documents):
            rows = slice(start, start + len(part))
            codes[rows, :kept] = np.clip(np.rint((part @ basis - ranges[0]) / ranges[1]), 0, 255)
            if documents.similarity == "euclidean":  # q.d - |d|^2 / 2 orders as -|q - d|
                offsets[rows] = -np.square(part).sum(1) / 2
            start += len(part)
        return cls(**unfitted(documents), codes=codes, ranges=ranges, basis=basis, offsets=offsets)

    @classmethod
    def sizes(cls, documents: Dense) -> Iterator[Funnel]:
        """See Shortlist.sizes."""
        for kept in dict.fromkeys(_part(documents.dim, by) for by in PARTS):
            yield cls.of(documents, kept=kept)

    def __len__(self) -> int:
        return len(self.codes)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See Shortlist.shapes."""
        m, kept = len(self), self.basis.shape[1]
        return {
            "codes": (m, -(-kept // STEP) * STEP),
            "ranges": (2, kept),
            "basis": (self.dim, kept),
            "offsets": (m,),
        }

    def candidates(self, query: Floats, count: int) -> npt.NDArray[np.int64]:
        """See Shortlist.candidates."""
        # the part of the codes' least values is the same for every document
        weights = (query @ self.basis) * self.ranges[1]
        scales = np.abs(weights).max(1) / np.float32(MOST)
        scales[scales == 0] = 1
        asked = np.zeros((len(query), self.codes.shape[1]), np.int8)
        asked[:, : weights.shape[1]] = np.rint(weights / scales[:, None])
        kernels = chosen_kernels()
        if kernels is not None:
            return self._by_kernel(asked, scales, count, kernels)

        def scores(rows: slice) -> Floats:
            # whole numbers below 2^24 are exact in float32 up to 1,000 dimensions, and float64
            # holds them all
            product = asked.astype(np.float64) @ self.codes[rows].T.astype(np.float64)
            scored: Floats = product.astype(np.float32) * scales[:, None] + self.offsets[rows]
            return scored

        return best_of_blocks(scores, len(query), len(self), count)

    def _by_kernel(
        self, asked: npt.NDArray[np.int8], scales: Floats, count: int, kernels: Kernels
    ) -> npt.NDArray[np.int64]:
        width, n = asked.shape[1], len(asked)

        def offer(part: npt.NDArray[np.int64], best: Floats, found: npt.NDArray[np.int64]) -> int:
            kernels.call(
                "scan_codes",
                self.codes,
                self.offsets,
                width,
                part,
                asked,
                scales,
                n,
                best,
                found,
                count,
            )
            return -1

        return heaps(offer, len(self), n, count, step=SHARE)[0]


def _part(dim: int, by: int) -> int:
    """The `by`-th part of the dimensions, made up to whole steps."""
    return min(dim, -(-dim // (by * STEP)) * STEP)


def _ranges(parts: Iterator[Floats]) -> Floats:
    """The least value and the step of 255 equal ones, for each dimension of the rows: (2, dim)."""
    bounds = [(part.min(0), part.max(0)) for part in parts]
    low, high = (
        np.min([low for low, _ in bounds], axis=0),
        np.max([high for _, high in bounds], axis=0),
    )
    return np.stack([low, np.maximum((high - low) / 255, 1e-12)]).astype(np.float32)
