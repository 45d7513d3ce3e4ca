"""Faster than exact search: a small stand-in of each vector gives a shortlist, which is scored with
the vectors themselves.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from nearfield.errors import ContractError, InputError
from nearfield.index.exact import SPARE, chosen_kernels
from nearfield.index.rescore import rescored
from nearfield.index.scan import not_finite
from nearfield.index.top import TopK, best, empty_top_k
from nearfield.similarity.dense import Dense
from nearfield.similarity.functions import FUNCTIONS, unit
from nearfield.store.array import check_finite, checksum, map_array, read_header
from nearfield.store.atomic import staged_folder, write_json
from nearfield.store.fields import read_fields

Floats = npt.NDArray[np.float32]
ROWS = 16_384  # vectors that are turned into stand-ins at a time
SAMPLE = 50_000  # vectors, evenly spaced, that a mean or a rotation is taken from
OVERSAMPLING = 20  # before it is measured; about what 100,000 sentences need for a recall of .98
FACTS = "index.json"


@dataclass(frozen=True)
class Shortlist(ABC):
    """Stand-ins of m documents' vectors.

    A search for k takes the `oversampling` x k documents that the stand-ins put first, and orders
    them by exact scores: what it finds is scored rightly, and what it misses was not on the
    shortlist. `recall.fitted` chooses the oversampling by measuring, and notes for which `k` it
    reaches which `recall` (0 where nothing was measured). `similarity` is the metric that the
    stand-ins were made for, `made_of` the `digest` of the vectors.
    """

    kind: ClassVar[str]
    similarity: str
    dim: int
    made_of: str
    oversampling: int
    k: int
    recall: float

    @classmethod
    @abstractmethod
    def of(cls, documents: Dense) -> Self:
        """The stand-ins of these documents, for their similarity, with the kind's own settings.
        They are read a block at a time.
        """

    @classmethod
    def sizes(cls, documents: Dense) -> Iterator[Self]:
        """The stand-ins in every size worth measuring, smallest first, each made when it is asked
        for.
        """
        yield cls.of(documents)

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def candidates(self, query: Floats, count: int) -> npt.NDArray[np.int64]:
        """The `count` documents that look closest to each row of `query: (n, dim)`: (n, count)
        int64, best first, count <= m.
        """

    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """What each array's shape has to be, for as many documents as there are."""

    @property
    def bytes_per_document(self) -> float:
        """Bytes that the stand-ins take for each document, besides the vectors themselves."""
        return sum(array.nbytes for array in self._arrays().values()) / max(1, len(self))

    def top_k(self, query: Dense, documents: Dense, k: int) -> TopK:
        """The k closest documents on the shortlist of each of n queries; shapes and scores as
        `exact_top_k` gives.

        Raises ContractError where `documents` are not those that the stand-ins were made of, or the
        query has another similarity.
        """
        self.check(query, documents)
        if not len(query) or not len(documents):
            return empty_top_k(len(query), k)
        asked = query.floats()
        if not np.isfinite(np.square(asked, dtype=np.float64)).all():
            raise InputError(
                "a query holds NaN or infinite values, which are no place to search from"
            )
        found = self.candidates(asked, min(len(documents), max(k * self.oversampling, k + SPARE)))
        return rescored(
            asked,
            replace(documents, similarity=self.similarity),
            found,
            k,
            kernels=chosen_kernels(),
        )

    def check(self, query: Dense, documents: Dense) -> None:
        """Raise ContractError unless this shortlist was made of such documents and for such
        queries.
        """
        if (len(documents), documents.dim) != (len(self), self.dim) or query.dim != self.dim:
            got = f"{len(documents)} of {documents.dim}, and queries of {query.dim}"
            raise ContractError(
                f"this {self.kind} index was made of {len(self)} vectors of {self.dim} "
                f"dimensions; got {got}; make it again"
            )
        if query.similarity != self.similarity:
            raise ContractError(
                f"this {self.kind} index is for {self.similarity} and the queries are for "
                f"{query.similarity}; make it again"
            )

    def save(self, path: str | Path) -> None:
        """Write the stand-ins to a folder, whole or not at all."""
        arrays = self._arrays()
        with staged_folder(path) as stage:
            for name, array in arrays.items():
                np.save(stage / f"{name}.npy", np.ascontiguousarray(array))
            facts = {
                field.name: getattr(self, field.name)
                for field in fields(self)
                if field.name not in arrays
            }
            facts |= {"checksums": {name: checksum(array) for name, array in arrays.items()}}
            write_json(stage / FACTS, {"format": 1, "kind": self.kind, "items": len(self)} | facts)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Stand-ins from a folder, memory-mapped. Raises InputError where it is none of this kind
        or its parts do not fit.
        """
        path = Path(path)
        facts = read_fields(path / FACTS)
        facts.one_of("kind", (cls.kind,))
        known: dict[str, Any] = {
            "similarity": facts.one_of("similarity", tuple(FUNCTIONS)),
            "dim": facts.integer("dim", low=1),
            "made_of": facts.text("made_of"),
            "oversampling": facts.integer("oversampling", low=1),
            "k": facts.integer("k"),
            "recall": facts.number("recall", low=0, high=1),
        }
        names = [field.name for field in fields(cls) if field.name not in known]
        known |= {name: _stand_ins(path / f"{name}.npy") for name in names}
        index = cls(**known)
        try:
            items, shapes = len(index), index.shapes()
        except (TypeError, IndexError) as error:
            raise InputError(
                "is no whole index: its arrays have too few dimensions; make it again", path=path
            ) from error
        if items != facts.integer("items", high=2**48):
            raise InputError(
                f"holds {items} documents, {FACTS} says {facts['items']}; make it again", path=path
            )
        arrays, sums = index._arrays(), facts.object("checksums")
        for name, shape in shapes.items():  # the kernels read as far as these say
            got, kind = arrays[name], np.dtype(np.uint8 if name == "codes" else np.float32)
            if got.shape != shape or got.dtype != kind or not got.flags.c_contiguous:
                said = f"{name}.npy is {got.shape} {got.dtype}; wanted {shape} {kind}"
                raise InputError(f"is no whole index: {said}; make it again", path=path)
            check_finite(got, path / f"{name}.npy")
            if checksum(got) != sums.get(name):
                raise InputError(
                    "is damaged: its checksum is not the one that was noted; make it again",
                    path=path / f"{name}.npy",
                )
        return index

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def _stand_ins(path: Path) -> npt.NDArray[Any]:
    """An array of stand-ins, memory-mapped, of whatever shape. Raises InputError where it
    is none.
    """
    header = read_header(path)
    return map_array(path, ["uint8", "float32"], header.shape)


def digest(documents: Dense) -> str:
    """Tells these vectors from any others: SHA-256 over their number, dim, storage and the checksum
    of all of them.
    """
    told = f"{len(documents)} {documents.dim} {documents.storage} {checksum(documents.vectors)}"
    return hashlib.sha256(told.encode()).hexdigest()


def unfitted(documents: Dense) -> dict[str, Any]:
    """The fields of a Shortlist before its recall is measured."""
    facts: dict[str, Any] = {
        "similarity": documents.similarity,
        "dim": documents.dim,
        "made_of": digest(documents),
    }
    return facts | {"oversampling": OVERSAMPLING, "k": 0, "recall": 0.0}


def comparable(documents: Dense, *, every: int = 1) -> Iterator[Floats]:
    """The vectors, or one of so many, as float32, ROWS at a time; of unit length for cosine, so
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


def best_of_blocks(
    scores: Callable[[slice], Floats], queries: int, documents: int, count: int
) -> npt.NDArray[np.int64]:
    """The `count` best documents of each query, best first, by numpy: `scores(rows)` gives those of
    a block, (queries, rows).
    """
    found, values = np.empty((queries, 0), np.int64), np.empty((queries, 0), np.float32)
    for start in range(0, documents, ROWS):
        here = scores(slice(start, start + ROWS))
        values = np.concatenate([values, here], axis=1)
        found = np.concatenate(
            [found, np.broadcast_to(np.arange(start, start + here.shape[1]), here.shape)], axis=1
        )
        kept = np.stack(
            [best(row, places, count) for row, places in zip(values, found, strict=True)]
        )
        values, found = np.take_along_axis(values, kept, 1), np.take_along_axis(found, kept, 1)
    return found
