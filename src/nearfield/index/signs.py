"""A shortlist by the sign of each dimension, a bit each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from nearfield.index.exact import chosen_kernels
from nearfield.index.scan import heaps
from nearfield.index.shortlist import Floats, Shortlist, best_of_blocks, comparable, sampled, unfitted
from nearfield.kernels.library import Kernels
from nearfield.similarity.dense import Dense

SEED = 0  # of the rotation, which any serves
BITS = 4  # of a query's values: Gao and Long find that more gain nothing
SHARE = 16_384  # documents that a thread takes at a time: 1 MB


@dataclass(frozen=True)
class Signs(Shortlist):
    """One bit a dimension: RaBitQ (Gao and Long 2024).

    Vectors are moved by `mean: (dim,)`, so that signs differ, and turned by `rotation: (dim, dim)`, a random one, so that every bit
    tells as much. What is left of a document, r, has `bits: (m, words)` uint64, set where r_i > 0, and `lines: (m, 2)`: |r|^2 over
    the sum of |r_i|, which turns the product of a query and the signs into an estimate of that with r, and what is added to it. A
    query keeps four bits a value.
    """

    kind: ClassVar[str] = "binary"
    bits: npt.NDArray[np.uint64]
    lines: Floats
    mean: Floats
    rotation: Floats

    @classmethod
    def of(cls, documents: Dense) -> Signs:
        """See Shortlist.of."""
        dim, words = documents.dim, -(-documents.dim // 64)
        rotation = np.linalg.qr(np.random.default_rng(SEED).standard_normal((dim, dim)))[0].astype(np.float32)
        parts = [part.mean(0) * len(part) for part in sampled(documents)]
        seen = sum(len(part) for part in sampled(documents))
        mean = (np.sum(parts, axis=0) / max(1, seen)).astype(np.float32) if parts else np.zeros(dim, np.float32)
        bits, lines = np.zeros((len(documents), words), np.uint64), np.empty((len(documents), 2), np.float32)
        start = 0
        for part in comparable(documents):
            rows = slice(start, start + len(part))
            turned = (part - mean) @ rotation
            bits[rows] = _words(turned > 0, words)
            lines[rows, 0] = np.square(turned).sum(1) / np.maximum(np.abs(turned).sum(1), 1e-24)
            lines[rows, 1] = -np.square(part).sum(1) / 2 if documents.similarity == "euclidean" else 0
            start += len(part)
        return cls(**unfitted(documents), bits=bits, lines=lines, mean=mean, rotation=rotation)

    def __len__(self) -> int:
        return len(self.bits)

    def candidates(self, query: Floats, count: int) -> npt.NDArray[np.int64]:
        """See Shortlist.candidates."""
        turned = query @ self.rotation
        low = turned.min(1, keepdims=True)
        step = np.maximum((turned.max(1, keepdims=True) - low) / (2**BITS - 1), 1e-24)
        codes = np.rint((turned - low) / step).astype(np.uint8)
        kernels = chosen_kernels()
        if kernels is None:

            def scores(rows: slice) -> Floats:
                signs = np.unpackbits(self.bits[rows].view(np.uint8), axis=1, count=self.dim, bitorder="little") * np.float32(2) - 1
                product: Floats = (low + step * codes) @ signs.T * self.lines[rows, 0] + self.lines[rows, 1]
                return product

            return best_of_blocks(scores, len(query), len(self), count)
        words = self.bits.shape[1]
        planes = np.stack([_words(codes >> plane & 1, words) for plane in range(BITS)], axis=2)
        total = (low + step * codes).sum(1, keepdims=True)
        return self._by_kernel(planes, np.concatenate([2 * step, 2 * low, -total], axis=1).astype(np.float32), count, kernels)

    def _by_kernel(self, planes: npt.NDArray[np.uint64], query_lines: Floats, count: int, kernels: Kernels) -> npt.NDArray[np.int64]:
        words, n = self.bits.shape[1], len(planes)

        def offer(part: npt.NDArray[np.int64], best: Floats, found: npt.NDArray[np.int64]) -> int:
            kernels.call("scan_signs", self.bits, self.lines, words, part, planes, query_lines, n, best, found, count)
            return -1

        return heaps(offer, len(self), n, count, step=SHARE)[0]


def _words(bits: npt.NDArray[np.bool_] | npt.NDArray[np.uint8], words: int) -> npt.NDArray[np.uint64]:
    """Rows of truth values (n, dim) as (n, words) uint64, the first the lowest bit."""
    packed = np.zeros((len(bits), 8 * words), np.uint8)
    packed[:, : -(-bits.shape[1] // 8)] = np.packbits(bits, axis=1, bitorder="little")
    return packed.view("<u8")
