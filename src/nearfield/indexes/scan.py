"""Every document against every query, a block at a time: the candidates for exact search, by a
kernel or by numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from nearfield.errors import ContractError, InputError
from nearfield.indexes.top import TopK, best_of_blocks, empty_top_k
from nearfield.indexes.turns import in_turns
from nearfield.kernels.library import Kernels
from nearfield.similarity.dense import Dense
from nearfield.similarity.functions import FUNCTIONS, similarity, unit
from nearfield.similarity.storages import STORAGES
from nearfield.types.arrays import Array, Floats, Positions

# queries that meet a block of documents together: at 384 dims they stay in a second-level cache of
# 512 KiB
QUERIES = 256
# bytes of documents that a thread takes at a time: half a millisecond of reading, so that all end
# together
SHARE = 4 << 20
# documents decoded and scored at a time without the kernel; with QUERIES rows a block of scores
# takes 16 MB
NUMPY_BLOCK = 16_384
_TILE = 16  # documents that the kernel decodes together
# as search.c counts them; any other is numpy's
_METRICS = {"dot": 0, "cosine": 1, "euclidean": 2}
_STORAGES = {"float32": 0, "float16": 1, "int8": 2, "binary": 3}
NOWHERE = np.iinfo(np.int64).max  # the position of an entry that nothing has replaced


def scan(
    query: Floats,
    documents: Dense,
    k: int,
    *,
    kernels: Kernels | None,
    block: int | None = None,
    names: Positions | None = None,
) -> TopK:
    """The k best of m documents by float32 scores for each row of `query: (n, dim)`, by the
    documents' similarity.

    Returns documents (n, k) int64, best first, -1 where there are fewer, and what they were ordered
    by (n, k) float32. Each pair's score is the same whatever the blocks, the threads and the other
    queries. Raises InputError, naming the document (by `names` where they are given), where a score
    is NaN or infinite.
    """
    found, scores = empty_top_k(len(query), k)
    for start in range(0, len(query), QUERIES):
        rows = slice(start, start + QUERIES)
        if kernels is None:
            one = numpy_scan(query[rows], documents, k, block=block, names=names)
        else:
            one = _kernel_scan(query[rows], documents, k, kernels, block, names)
        found[rows], scores[rows] = one
    return found, scores


class Rows:
    """Documents as the kernels of search.c take them: `arguments` are the leading ones of `scan`
    and `rescore`.

    `queries` makes floats (n, dim) ready for them, and `buffer` is room for the documents that a
    call decodes.
    """

    @staticmethod
    def known(documents: Dense) -> bool:
        """Whether the kernels have this storage type and this similarity."""
        return documents.storage in _STORAGES and documents.similarity in _METRICS

    def __init__(self, documents: Dense) -> None:
        vectors = documents.vectors
        kind = STORAGES[documents.storage]
        width = kind.width(documents.dim)
        ranges_fit = not kind.ranged or (
            documents.ranges is not None and documents.ranges.shape == (2, documents.dim)
        )
        # the kernels read as far as these say
        if vectors.ndim != 2 or vectors.shape[1] != width or not ranges_fit:
            said = f"{documents.dim} dimensions of {documents.storage}, and hold {vectors.shape}"
            raise ContractError(f"the documents say that they have {said}; make them again")
        if vectors.dtype != kind.dtype:
            vectors = vectors.astype(kind.dtype)
        if vectors.shape[1] > 1 and vectors.strides[1] != vectors.itemsize:
            vectors = np.ascontiguousarray(vectors)
        self.row_bytes = vectors.strides[0]
        self.width = -(-documents.dim // 16) * 16  # whole registers at every level
        ranges = documents.ranges
        if ranges is None:
            ranges = np.zeros((2, documents.dim), np.float32)
        shape = np.array([documents.dim, self.width, self.row_bytes], np.int64)
        self.arguments = (
            vectors,
            np.ascontiguousarray(ranges, np.float32),
            _STORAGES[documents.storage],
            _METRICS[documents.similarity],
            shape,
        )

    def queries(self, floats: Array) -> Floats:
        padded = np.zeros((len(floats), self.width), np.float32)
        padded[:, : floats.shape[1]] = floats
        return padded

    def buffer(self) -> Floats:
        return np.empty((_TILE, self.width), np.float32)


def _kernel_scan(
    query: Floats,
    documents: Dense,
    k: int,
    kernels: Kernels,
    block: int | None,
    names: Positions | None,
) -> TopK:
    rows = Rows(documents)
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is found by its scores
        asked = rows.queries(unit(query) if documents.similarity == "cosine" else query)
    step = block or max(_TILE, SHARE // max(1, rows.row_bytes) // _TILE * _TILE)

    def offer(part: Positions, scores: Floats, found: Positions) -> int:
        room = (rows.buffer(), scores, found, k)
        return int(kernels.call("scan", *rows.arguments, part, asked, len(asked), *room))

    return heaps(offer, len(documents), len(asked), k, step=step, names=names)


Offer = Callable[[Positions, Floats, Positions], int]


def heaps(
    offer: Offer,
    documents: int,
    queries: int,
    k: int,
    *,
    step: int,
    names: Positions | None = None,
) -> TopK:
    """The k best documents of each query by a kernel that is called for `step` documents at a time,
    on every processor.

    `offer(part, scores, found)` puts documents part[0]..part[1]-1 into heaps (queries, k) and
    returns the first of them with a score that is not finite, or -1. Returns documents and scores
    as `scan` does. Raises InputError as `scan` does.
    """
    starts = range(0, documents, step)

    def work(turns: Iterator[int]) -> tuple[int, Floats, Positions]:
        scores = np.full((queries, k), -np.inf, np.float32)
        found = np.full((queries, k), NOWHERE, np.int64)
        bad = NOWHERE
        for start in turns:
            part = np.array([start, min(start + step, documents)], np.int64)
            first = offer(part, scores, found)
            if first >= 0:
                bad = min(bad, first)
        return bad, scores, found

    parts = in_turns(work, starts, most=len(starts))
    bad = min(part[0] for part in parts)
    if bad < NOWHERE:
        raise not_finite(bad, names)
    return merged([(found, scores) for _, scores, found in parts], k)


def merged(parts: Sequence[TopK], k: int) -> TopK:
    """The k best of several heaps of the same n queries, best first, equal scores by smaller
    position; -1 where there are fewer.
    """
    positions = np.concatenate([part[0] for part in parts], axis=1)
    scores = np.concatenate([part[1] for part in parts], axis=1)
    order = np.lexsort((positions, -scores))[:, :k]
    positions = np.take_along_axis(positions, order, 1)
    scores = np.take_along_axis(scores, order, 1)
    positions[np.isneginf(scores)] = -1
    return positions, scores


def numpy_scan(
    query: Floats,
    documents: Dense,
    k: int,
    *,
    block: int | None = None,
    names: Positions | None = None,
) -> TopK:
    """`scan` without a kernel: each block's scores as a matrix."""

    def blocks() -> Iterator[tuple[int, int, Floats]]:
        step = block or NUMPY_BLOCK
        for start in range(0, len(documents), step):
            with np.errstate(invalid="ignore", over="ignore"):
                floats = documents[start : start + step].floats()
                scored = similarity(documents.similarity)(query, floats)
                finite = np.isfinite(scored).all(0)
                if documents.similarity == "cosine":  # a length of infinity makes a score of 0
                    finite &= np.isfinite(np.square(floats).sum(1))
            if not finite.all():
                raise not_finite(start + int(np.flatnonzero(~finite)[0]), names)
            yield 0, start, scored

    return best_of_blocks(blocks(), len(query), k)


def not_finite(position: int, names: Positions | None = None) -> InputError:
    """The error for a document whose score is not a number: the one at `position` of those that
    `names` are the positions of, where only some were searched.
    """
    document = position if names is None else names[position]
    return InputError(
        f"document {document} has a score of NaN or infinity: its vector or a "
        "query's is not finite or too large"
    )


assert set(_METRICS) == set(FUNCTIONS)
