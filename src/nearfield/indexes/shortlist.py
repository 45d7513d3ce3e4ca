"""Faster than exact search: a small stand-in of each vector gives a shortlist, which is scored with
the vectors themselves.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from nearfield.errors import ContractError, InputError
from nearfield.indexes.exact import SPARE, dense_kernels
from nearfield.indexes.index import Index, allowed, ranking_of
from nearfield.indexes.rescore import rescored
from nearfield.indexes.scan import heaps, not_finite
from nearfield.indexes.top import best_of_blocks, empty_top_k
from nearfield.kernels.library import Kernels
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.functions import unit
from nearfield.store.array import check_finite, checksum, map_array, read_header
from nearfield.store.atomic import staged_folder, write_json
from nearfield.store.fields import read_fields
from nearfield.types.arrays import Floats, Mask, Positions
from nearfield.types.ranking import Ranking

ROWS = 16_384  # vectors that are turned into stand-ins at a time
SAMPLE = 50_000  # vectors, evenly spaced, that a mean or a rotation is taken from
OVERSAMPLING = 20  # before it is measured; about what 100,000 sentences need for a recall of .98
FACTS = "index.json"
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Shortlist(Index[Dense]):
    """Stand-ins of the vectors of m `documents`.

    A search for k takes the `oversampling` x k documents that the stand-ins put first, and orders
    them by exact scores: what it finds is scored rightly, and what it misses was not on the
    shortlist. `Neighbours.fitted` chooses the oversampling by measuring, and notes for which `k` it
    reaches which `recall` (0 where nothing was measured).
    """

    takes = Dense
    kernel: ClassVar[str]
    step: ClassVar[int]  # documents that a thread takes at a time
    # what each array's type is where it is not float32
    dtypes: ClassVar[dict[str, str]] = {"codes": "uint8"}
    documents: Dense
    oversampling: int = OVERSAMPLING
    k: int = 0
    recall: float = 0.0

    @classmethod
    def sizes(cls, documents: Dense) -> Iterator[Self]:
        """The stand-ins in every size worth measuring, smallest first, each made when it is asked
        for.
        """
        yield cls.of(documents)

    @abstractmethod
    def candidates(self, query: Floats, count: int) -> Positions:
        """The `count` documents that look closest to each row of `query: (n, dim)`: (n, count)
        int64, best first, count <= m.
        """

    @classmethod
    @abstractmethod
    def shapes(cls, documents: Dense, found: Shapes) -> Shapes:
        """What each array's shape has to be for these documents, where files of the shapes `found`
        say what can be chosen.
        """

    def by_kernel(
        self, kernels: Kernels, count: int, stored: tuple[Any, ...], asked: tuple[Any, ...]
    ) -> Positions:
        """`candidates` by the kernel of this kind, whose arguments for the documents are `stored`,
        and for the queries `asked`.
        """
        queries = len(asked[0])

        def offer(part: Positions, best: Floats, found: Positions) -> int:
            kernels.call(self.kernel, *stored, part, *asked, queries, best, found, count)
            return -1

        return heaps(offer, len(self), queries, count, step=self.step)[0]

    @property
    def bytes_per_document(self) -> float:
        """Bytes that the stand-ins take for each document, besides the vectors themselves."""
        taken = sum(array.nbytes for array in self._arrays().values())
        return taken / max(1, len(self))

    def search(self, query: Embeddings, k: int, *, where: Mask | None = None) -> Ranking:
        """See Index.search: the k closest documents on the shortlist of each query. Raises
        ContractError for queries of another similarity, InputError where one is not finite.
        """
        asked = self.asked(query)
        floats = asked.floats()
        if not np.isfinite(np.square(floats, dtype=np.float64)).all():
            raise InputError("a query holds NaN or infinite values, so nothing is close to it")
        found = empty_top_k(len(asked), k)
        if len(asked) and len(self):
            count = min(len(self), max(k * self.oversampling, k + SPARE))
            listed = self._listed(floats, count, where)
            by = dense_kernels(self.documents)
            found = rescored(floats, self.documents, listed, k, kernels=by)
        return ranking_of(found)

    def asked(self, query: Embeddings) -> Dense:
        """The queries, which must be of the documents' dim and similarity, or ContractError is
        raised.
        """
        asked = self.fitting(query)
        documents = self.documents
        for what in ("dim", "similarity"):
            got = getattr(asked, what)
            wanted = getattr(documents, what)
            if got != wanted:
                raise ContractError(
                    f"the {what} of this {self.kind} index is {wanted} and the queries' is {got}; "
                    "make it again"
                )
        return asked

    def _listed(self, floats: Floats, count: int, where: Mask | None) -> Positions:
        """The `count` candidates of each query among those that `where` allows; -1 for none."""
        positions = allowed(where, len(self))
        if where is None or positions is None:
            return self.candidates(floats, count)
        if len(positions) <= count:
            return np.broadcast_to(positions, (len(floats), len(positions)))
        depth = count
        while True:  # as many are listed as it takes until enough of them are allowed
            depth = min(len(self), 2 * depth)
            listed = self.candidates(floats, depth)
            fits = where[listed]
            if depth == len(self) or fits.sum(1).min() >= count:
                first = fits & (np.cumsum(fits, axis=1) <= count)
                return np.where(first, listed, -1)

    def save(self, path: str | Path) -> None:
        """Write the stand-ins to a folder, whole or not at all."""
        arrays = self._arrays()
        with staged_folder(path) as stage:
            for name, array in arrays.items():
                np.save(stage / f"{name}.npy", np.ascontiguousarray(array))
            facts = {
                "format": 1,
                "kind": self.kind,
                "items": len(self),
                "made_of": digest(self.documents),
            }
            facts |= {name: getattr(self.documents, name) for name in ("similarity", "dim")}
            facts |= {name: getattr(self, name) for name in ("oversampling", "k", "recall")}
            checksums = {name: checksum(array) for name, array in arrays.items()}
            write_json(stage / FACTS, facts | {"checksums": checksums})

    @classmethod
    def open(cls, path: str | Path, documents: Dense) -> Self | None:
        """The stand-ins of these documents from a folder, memory-mapped; None where they are those
        of other vectors or for another similarity.

        Raises InputError where the folder holds none of this kind or its parts do not fit.
        """
        path = Path(path)
        facts = read_fields(path / FACTS)
        facts.one_of("kind", (cls.kind,))
        made_of = facts.text("made_of")
        similarity = facts.text("similarity")
        if (made_of, similarity) != (digest(documents), documents.similarity):
            return None
        files = {name: path / f"{name}.npy" for name in cls._names()}
        shapes = cls.shapes(
            documents, {name: read_header(file).shape for name, file in files.items()}
        )
        sums = facts.object("checksums")
        arrays: dict[str, Any] = {}
        for name, file in files.items():
            # the kernels read as far as the shapes say
            array = map_array(file, [cls.dtypes.get(name, "float32")], shapes[name])
            check_finite(array, file)
            if checksum(array) != sums.get(name):
                raise InputError(
                    "is damaged: its checksum is not the one that was noted; make it again",
                    path=file,
                )
            arrays[name] = np.ascontiguousarray(array)
        return cls(
            documents=documents,
            oversampling=facts.integer("oversampling", low=1),
            k=facts.integer("k"),
            recall=facts.number("recall", low=0, high=1),
            **arrays,
        )

    @classmethod
    def _names(cls) -> list[str]:
        own = {field.name for field in fields(Shortlist)}
        return [field.name for field in fields(cls) if field.name not in own]

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {name: getattr(self, name) for name in self._names()}


def digest(documents: Dense) -> str:
    """Tells these vectors from any others: SHA-256 over their number, dim, storage and the checksum
    of all of them.
    """
    told = f"{len(documents)} {documents.dim} {documents.storage} {checksum(documents.vectors)}"
    return hashlib.sha256(told.encode()).hexdigest()


def comparable(documents: Dense, *, every: int = 1) -> Iterator[Floats]:
    """The vectors, or one in `every`, as float32, ROWS at a time; of unit length for cosine, so
    that products order them.

    Raises InputError, naming the document, for a vector that is not finite or too large.
    """
    chosen = documents[::every]
    for start in range(0, len(chosen), ROWS):
        floats = chosen[start : start + ROWS].floats()
        with np.errstate(over="ignore"):
            finite = np.isfinite(np.square(floats).sum(1))
        if not finite.all():
            raise not_finite((start + int(np.flatnonzero(~finite)[0])) * every)
        yield unit(floats) if documents.similarity == "cosine" else floats


def sampled(documents: Dense) -> Iterator[Floats]:
    """Up to about SAMPLE of the vectors, evenly spaced, as `comparable` gives them."""
    return comparable(documents, every=max(1, len(documents) // SAMPLE))


def listed_by_numpy(
    scores: Callable[[slice], Floats], queries: int, documents: int, count: int
) -> Positions:
    """The `count` best documents of each query: `scores(rows)` gives those of a block, (queries,
    rows).
    """
    starts = range(0, documents, ROWS)
    blocks = ((0, start, scores(slice(start, start + ROWS))) for start in starts)
    return best_of_blocks(blocks, queries, count)[0]
