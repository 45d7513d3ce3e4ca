"""A shortlist by the sign of each dimension, a bit each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from nearfield.index.exact import chosen_kernels
from nearfield.index.scan import QUERIES, heaps
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

SEED = 0  # of the rotation, which any serves
# of a query's values: five bits with the sign; Gao and Long find that more than four gain nothing
MOST = 15
SIDE = 32  # documents whose codes lie side by side: see shortlist.c
SHARE = 32_768  # documents that a thread takes at a time: 1 MB
PATTERNS = np.array([[pattern >> bit & 1 for pattern in range(16)] for bit in range(4)], np.float32)


@dataclass(frozen=True)
class Signs(Shortlist):
    """One bit a dimension: RaBitQ (Gao and Long 2024).

    Vectors are moved by `mean: (dim,)`, so that signs differ, and turned by `rotation: (dim, dim)`,
    a random one, so that every bit tells as much. What is left of a document, r, has a bit for each
    r_i > 0 in `codes: (blocks, bytes, SIDE)` uint8, a byte for eight dimensions, those of SIDE
    documents side by side; `factors: (m,)`, |r|^2 over the sum of |r_i|, turns the product of a
    query and the signs into an estimate of that with r, and `offsets: (m,)`, empty where there are
    none, is added to it. A query keeps whole numbers of -15 to 15.
    """

    kind: ClassVar[str] = "binary"
    codes: npt.NDArray[np.uint8]
    factors: Floats
    offsets: Floats
    mean: Floats
    rotation: Floats

    @classmethod
    def of(cls, documents: Dense) -> Signs:
        """See Shortlist.of."""
        dim, m = documents.dim, len(documents)
        rotation = np.linalg.qr(np.random.default_rng(SEED).standard_normal((dim, dim)))[0].astype(
            np.float32
        )
        parts = [part.mean(0) * len(part) for part in sampled(documents)]
        seen = sum(len(part) for part in sampled(documents))
        mean = (
            (np.sum(parts, axis=0) / max(1, seen)).astype(np.float32)
            if parts
            else np.zeros(dim, np.float32)
        )
        bits = np.zeros((-(-m // SIDE) * SIDE, _bytes(dim)), np.uint8)
        factors, offsets = (
            np.empty(m, np.float32),
            np.empty(m if documents.similarity == "euclidean" else 0, np.float32),
        )
        start = 0
        for part in comparable(documents):
            rows = slice(start, start + len(part))
            turned = (part - mean) @ rotation
            bits[rows, : -(-dim // 8)] = np.packbits(turned > 0, axis=1, bitorder="little")
            factors[rows] = np.square(turned).sum(1) / np.maximum(np.abs(turned).sum(1), 1e-24)
            if len(offsets):
                offsets[rows] = -np.square(part).sum(1) / 2
            start += len(part)
        codes = np.ascontiguousarray(bits.reshape(-1, SIDE, bits.shape[1]).transpose(0, 2, 1))
        return cls(
            **unfitted(documents),
            codes=codes,
            factors=factors,
            offsets=offsets,
            mean=mean,
            rotation=rotation,
        )

    def __len__(self) -> int:
        return len(self.factors)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See Shortlist.shapes."""
        m = len(self)
        moved = m if self.similarity == "euclidean" else 0
        blocks = {
            "codes": (-(-m // SIDE), _bytes(self.dim), SIDE),
            "factors": (m,),
            "offsets": (moved,),
        }
        return blocks | {"mean": (self.dim,), "rotation": (self.dim, self.dim)}

    def candidates(self, query: Floats, count: int) -> npt.NDArray[np.int64]:
        """See Shortlist.candidates."""
        turned = query @ self.rotation
        step = np.abs(turned).max(1, keepdims=True) / np.float32(MOST)
        step[step == 0] = 1
        values = np.rint(turned / step)
        kernels = chosen_kernels()
        if kernels is not None:
            parts = [slice(start, start + QUERIES) for start in range(0, len(query), QUERIES)]
            listed = [self._by_kernel(values[part], step[part], count, kernels) for part in parts]
            return np.concatenate(listed) if listed else np.empty((0, count), np.int64)

        def scores(rows: slice) -> Floats:
            factors = self.factors[rows]
            # rows begin at a block's beginning
            blocks = self.codes[rows.start // SIDE : -(-rows.stop // SIDE)].transpose(0, 2, 1)
            bits = blocks.reshape(-1, blocks.shape[2])[: len(factors)]
            signs = (
                np.unpackbits(bits, axis=1, count=self.dim, bitorder="little") * np.float32(2) - 1
            )
            product: Floats = step * (values @ signs.T) * factors
            return product + self.offsets[rows] if len(self.offsets) else product

        return best_of_blocks(scores, len(query), len(self), count)

    def _by_kernel(
        self, values: Floats, step: Floats, count: int, kernels: Kernels
    ) -> npt.NDArray[np.int64]:
        n = len(values)
        fours = np.zeros((n, 2 * self.codes.shape[1], 4), np.float32)
        fours.reshape(n, -1)[:, : self.dim] = values
        # what the signs choose, from 0 up
        tables = (fours @ PATTERNS + np.maximum(-fours, 0).sum(2, keepdims=True)).astype(np.uint8)
        lines = np.concatenate(
            [2 * step, -step * np.abs(values).sum(1, keepdims=True)], axis=1
        ).astype(np.float32)
        stored = (
            self.codes,
            self.codes.shape[1],
            self.factors,
            self.offsets if len(self.offsets) else None,
        )

        def offer(part: npt.NDArray[np.int64], best: Floats, found: npt.NDArray[np.int64]) -> int:
            kernels.call("scan_signs", *stored, part, tables, lines, n, best, found, count)
            return -1

        return heaps(offer, len(self), n, count, step=SHARE)[0]


def _bytes(dim: int) -> int:
    """Of a document's bits, as the kernel reads them: two at a time."""
    return -(-dim // 16) * 2
