"""Faster than exact search: a small stand-in of each vector gives a shortlist, which is scored with the vectors themselves."""

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
from nearfield.similarity.functions import unit
from nearfield.store.atomic import staged_folder, write_json
from nearfield.store.fields import read_json

Floats = npt.NDArray[np.float32]
ROWS = 16_384  # vectors that are turned into stand-ins at a time
SAMPLE = 50_000  # vectors, evenly spaced, that a mean or a rotation is taken from
LOOKED_AT = 1_000  # vectors that a digest reads
OVERSAMPLING = 20  # before it is measured; about what 100,000 sentences need for a recall of .98
FACTS = "index.json"


@dataclass(frozen=True)
class Shortlist(ABC):
    """Stand-ins of m documents' vectors.

    A search for k takes the `oversampling` x k documents that the stand-ins put first, and orders them by exact scores: what it
    finds is scored rightly, and what it misses was not on the shortlist. `recall.fitted` chooses the oversampling by measuring, and
    notes for which `k` it reaches which `recall` (0 where nothing was measured). `similarity` is the metric that the stand-ins were
    made for, `made_of` the `digest` of the vectors.
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
        """The stand-ins of these documents, for their similarity, with the kind's own settings. They are read a block at a time."""

    @classmethod
    def sizes(cls, documents: Dense) -> Iterator[Self]:
        """The stand-ins in every size worth measuring, smallest first, each made when it is asked for."""
        yield cls.of(documents)

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def candidates(self, query: Floats, count: int) -> npt.NDArray[np.int64]:
        """The `count` documents that look closest to each row of `query: (n, dim)`: (n, count) int64, best first, count <= m."""

    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """What each array's shape has to be, for as many documents as there are."""

    @property
    def bytes_per_document(self) -> float:
        """Bytes that the stand-ins take for each document, besides the vectors themselves."""
        return sum(array.nbytes for array in self._arrays().values()) / max(1, len(self))

    def top_k(self, query: Dense, documents: Dense, k: int) -> TopK:
        """The k closest documents on the shortlist of each of n queries; shapes and scores as `exact_top_k` gives.

        Raises ContractError where `documents` are not those that the stand-ins were made of, or the query has another similarity.
        """
        self.check(query, documents)
        if not len(query) or not len(documents):
            return empty_top_k(len(query), k)
        asked = query.floats()
        if not np.isfinite(np.square(asked, dtype=np.float64)).all():
            raise InputError("a query holds NaN or infinite values, which are no place to search from")
        found = self.candidates(asked, min(len(documents), max(k * self.oversampling, k + SPARE)))
        return rescored(asked, replace(documents, similarity=self.similarity), found, k, kernels=chosen_kernels())

    def check(self, query: Dense, documents: Dense) -> None:
        """Raise ContractError unless this shortlist was made of such documents and for such queries."""
        if (len(documents), documents.dim) != (len(self), self.dim) or query.dim != self.dim:
            got = f"{len(documents)} of {documents.dim}, and queries of {query.dim}"
            raise ContractError(
                f"this {self.kind} index was made of {len(self)} vectors of {self.dim} dimensions; got {got}; make it again"
            )
        if query.similarity != self.similarity:
            raise ContractError(
                f"this {self.kind} index is for {self.similarity} and the queries are for {query.similarity}; make it again"
            )

    def save(self, path: str | Path) -> None:
        """Write the stand-ins to a folder, whole or not at all."""
        arrays = self._arrays()
        with staged_folder(path) as stage:
            for name, array in arrays.items():
                np.save(stage / f"{name}.npy", array)
            facts = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in arrays}
            write_json(stage / FACTS, {"format": 1, "kind": self.kind, "items": len(self)} | facts)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Stand-ins from a folder, memory-mapped. Raises InputError where it is none of this kind or its parts do not fit."""
        facts = read_json(Path(path) / FACTS)
        if facts.get("kind") != cls.kind:
            raise InputError(f"is a {facts.get('kind')} index; wanted {cls.kind}", path=path)
        try:
            known: dict[str, Any] = {field.name: facts[field.name] for field in fields(cls) if field.name in facts}
            arrays = {
                field.name: np.load(Path(path) / f"{field.name}.npy", mmap_mode="r") for field in fields(cls) if field.name not in facts
            }
            index = cls(**known, **arrays)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"is no whole index: {error}", path=path) from error
        if len(index) != facts["items"]:
            raise InputError(f"holds {len(index)} documents, {FACTS} says {facts['items']}; make it again", path=path)
        for name, shape in index.shapes().items():  # the kernels read as far as these say
            kind = np.dtype(np.uint8 if name == "codes" else np.float32)
            if arrays[name].shape != shape or arrays[name].dtype != kind or not arrays[name].flags.c_contiguous:
                got = f"{arrays[name].shape} {arrays[name].dtype}"
                raise InputError(f"is no whole index: {name}.npy is {got}; wanted {shape} {kind}; make it again", path=path)
        return index

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def digest(documents: Dense) -> str:
    """SHA-256 over up to 1,000 of the vectors, evenly spaced, their number, storage and dim: tells one file of vectors from another."""
    rows = np.unique(np.linspace(0, max(0, len(documents) - 1), min(len(documents), LOOKED_AT)).astype(np.int64))
    told = hashlib.sha256(f"{len(documents)} {documents.dim} {documents.storage}".encode())
    told.update(np.ascontiguousarray(documents.vectors[rows]).tobytes())
    return told.hexdigest()


def unfitted(documents: Dense) -> dict[str, Any]:
    """The fields of a Shortlist before its recall is measured."""
    facts: dict[str, Any] = {"similarity": documents.similarity, "dim": documents.dim, "made_of": digest(documents)}
    return facts | {"oversampling": OVERSAMPLING, "k": 0, "recall": 0.0}


def comparable(documents: Dense, *, every: int = 1) -> Iterator[Floats]:
    """The vectors, or one of so many, as float32, ROWS at a time; of unit length for cosine, so that products order them.

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


def best_of_blocks(scores: Callable[[slice], Floats], queries: int, documents: int, count: int) -> npt.NDArray[np.int64]:
    """The `count` best documents of each query, best first, by numpy: `scores(rows)` gives those of a block, (queries, rows)."""
    found, values = np.empty((queries, 0), np.int64), np.empty((queries, 0), np.float32)
    for start in range(0, documents, ROWS):
        here = scores(slice(start, start + ROWS))
        values = np.concatenate([values, here], axis=1)
        found = np.concatenate([found, np.broadcast_to(np.arange(start, start + here.shape[1]), here.shape)], axis=1)
        kept = np.stack([best(row, places, count) for row, places in zip(values, found, strict=True)])
        values, found = np.take_along_axis(values, kept, 1), np.take_along_axis(found, kept, 1)
    return found
