"""What an encoder gives: items that know their own similarity, slicing and storage."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from nearfield.errors import ContractError, nearest
from nearfield.similarity.explained import Match, Names
from nearfield.similarity.facts import FACTS, write_checksums
from nearfield.similarity.facts import OFFSETS as OFFSETS
from nearfield.store.array import checksum
from nearfield.store.atomic import staged_folder, write_json
from nearfield.types.arrays import Array, Floats, Integers
from nearfield.types.usage import Usage

if TYPE_CHECKING:
    from nearfield.similarity.dense import Dense

Counts = Integers | None
VECTORS, RANGES, IDS = "vectors.npy", "ranges.npy", "ids.jsonl"
"""The names of the files with one vector per row, with the ranges of its codes, and with the ids,
in any vector folder.
"""


class Embeddings(ABC):
    """Representations of n items.

    `counts`: (n, 2) int64, the tokens read and lost of each item, where they were counted; not
    stored. `similarity` says how two items are compared. The class says what a kind can do:

    `kind` is its name in the registry. `storages` are its storage types, and `worth_measuring`
    those whose cost an evaluation shows. `one_vector`: an item is one vector, which can be cut,
    mapped and compared by any similarity. `merges_tokens`: `pool` merges similar tokens.
    `trains_dims`: a loss may see the first dimensions alone. `has_terms`: an item is weights of
    terms, whose number costs something. `sums`: a score is a sum over terms or tokens, not a
    cosine. `own_similarity` is what its similarity is called where it is not the contract's.
    """

    kind: ClassVar[str]
    storages: ClassVar[tuple[str, ...]] = ("float32", "float16")
    worth_measuring: ClassVar[tuple[str, ...]] = ("float32", "float16")
    one_vector: ClassVar[bool] = False
    merges_tokens: ClassVar[bool] = False
    trains_dims: ClassVar[bool] = False
    has_terms: ClassVar[bool] = False
    sums: ClassVar[bool] = False
    own_similarity: ClassVar[str] = ""
    similarity: str
    storage: str
    usage: Usage
    counts: Counts

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, items: slice | Sequence[int] | Array) -> Self:
        """The items at these positions, in that order."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Raises TypeError: only dense embeddings are one array."""
        # else NumPy takes what has a length and items for a sequence, and goes through it item by
        # item
        raise TypeError(f"{self.kind} embeddings are not one array; their arrays are in .arrays()")

    @property
    def by_part(self) -> Mapping[str, Embeddings]:
        """What fused embeddings fuse, by name; nothing for other kinds."""
        return {}

    @property
    def inverts(self) -> bool:
        """Whether an inverted index finds what `scores` finds."""
        return False

    @property
    def bytes_per_item(self) -> float:
        """Mean bytes per item in memory and on disk."""
        taken = 0
        for name, array in self.arrays().items():
            if name.endswith(OFFSETS):
                array = array[1:]  # the first belongs to no item
            if not name.endswith(RANGES):
                taken += array.nbytes
        return taken / max(1, len(self))

    @property
    def size_note(self) -> str:
        """The mean size of an item in words, where it varies."""
        return ""

    def as_dense(self, what: str) -> Dense:
        """These embeddings, if they are dense; else raises ContractError: `what` wants them so."""
        raise ContractError(f"{what} wants dense vectors; got {self.kind} embeddings")

    def numbers(self) -> Floats:
        """All that an item is, number by number: (n, dim) float32, or (n, most, dim) where an item
        is several vectors, with zeros behind its last. Raises ContractError for fused embeddings.
        """
        raise ContractError(f"{self.kind} embeddings are not numbers of one meaning")

    @abstractmethod
    def scores(self, documents: Self) -> Floats:
        """Similarity of each of these n queries to each of m documents: (n, m) float32, higher is
        closer.

        Raises ContractError where the two come from different spaces.
        """

    @abstractmethod
    def explain(self, documents: Self, names: Names) -> list[Match]:
        """The matches that the score of this one query and one document is the sum of."""

    def unmet(self, documents: Self) -> list[int] | None:
        """The terms of this one query that the one document lacks, the heaviest first; None where
        embeddings have no terms.
        """
        return None

    @classmethod
    @abstractmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The items of all parts (at least one), one after the other, as the first part is stored
        and compared.
        """

    def pool(self, factor: int) -> Self:
        """One vector for `factor` similar tokens. Raises ContractError for a kind without any."""
        raise ContractError(
            f"{self.kind} embeddings have no tokens to pool, as one vector "
            f"for {factor}; leave that out"
        )

    @classmethod
    def check_storage(cls, storage: str) -> None:
        """Raise ContractError for a storage type that the kind does not have."""
        if storage not in cls.storages:
            raise ContractError(
                f"{cls.kind} embeddings are not stored as {storage!r}; wanted one of "
                f"{', '.join(cls.storages)}.{nearest(storage, cls.storages)}"
            )

    @classmethod
    def placed(cls, parts: Iterable[tuple[Array, Self]], count: int) -> Self:
        """The `count` items of all parts, each part with the positions of its items: (m,) int64.

        Together the positions are 0 to count - 1. Wants one part at least.
        """
        places = []
        made = []
        for positions, part in parts:
            places.append(positions)
            made.append(part)
        joined = cls.join(made)
        # vectors of tokens take much room, and putting them in order takes as much again
        made.clear()
        # the inverse of the permutation that the positions are
        return joined[np.argsort(np.concatenate(places))]

    @abstractmethod
    def quantise(self, storage: str, *, like: Self | None = None) -> Self:
        """The same items at another storage type. Raises ContractError for one that this kind does
        not have.
        """

    @property
    def folders(self) -> Mapping[str, Embeddings]:
        """What lies in vector folders of its own within the vector folder, by their names."""
        return {}

    def own_arrays(self) -> dict[str, Array]:
        """What the vector folder itself holds, by the file's name."""
        return {}

    def arrays(self) -> dict[str, Array]:
        """All that a vector folder holds of these items, by the file's name in it.

        In each array the items' rows follow each other; an `offsets.npy` says where those of an
        item begin in the files beside it.
        """
        found: dict[str, Array] = {}
        for name, part in self.folders.items():
            found |= {f"{name}/{file}": array for file, array in part.arrays().items()}
        return found | self.own_arrays()

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What `vectors.json` says of these embeddings beside kind, number and usage."""

    def save_facts(self, folder: Path, rows: Mapping[str, int]) -> None:
        """Write only `vectors.json`, for a folder whose `arrays`, already written, have so many
        rows.
        """
        for name, part in self.folders.items():
            part.save_facts(folder / name, within(rows, name))
        stated = {"format": 1, "kind": self.kind, "items": items_in(rows)}
        write_json(folder / FACTS, stated | self.facts() | {"usage": self.usage})

    @abstractmethod
    def records(self) -> list[bytes]:
        """The values of each item, float32, as bytes."""

    @abstractmethod
    def of_records(self, records: Sequence[bytes]) -> Self:
        """Items of this kind, stored as float32 and compared as these are, from their `records`,
        bit for bit.
        """

    @abstractmethod
    def peaks(self) -> Floats:
        """(n,) the greatest magnitude of each item's values; 0 of an item that has none."""

    def save(self, path: str | Path, *, ids: Sequence[str] | None = None) -> None:
        """Write a vector folder, whole or not at all: `arrays`, and `vectors.json`, which says what
        they are.

        `ids`, where given, name the items in the same order, as `ids.jsonl`: one JSON string per
        line.
        """
        with staged_folder(path) as stage:
            # row by row, so that an item's numbers lie in one piece on the disk
            arrays = {name: np.ascontiguousarray(array) for name, array in self.arrays().items()}
            for name, array in arrays.items():
                (stage / name).parent.mkdir(parents=True, exist_ok=True)
                np.save(stage / name, array)
            if ids is not None:
                with open(stage / IDS, "w", encoding="utf-8") as file:
                    file.writelines(json.dumps(name, ensure_ascii=False) + "\n" for name in ids)
            self.save_facts(stage, {name: len(array) for name, array in arrays.items()})
            write_checksums(stage, {name: checksum(array) for name, array in arrays.items()})

    @classmethod
    @abstractmethod
    def open(cls, path: str | Path) -> Self:
        """A vector folder of this kind, memory-mapped. Raises InputError where it is not one or
        its parts do not fit.
        """


def items_in(rows: Mapping[str, int]) -> int:
    """How many items a vector folder holds whose files have so many rows."""
    if OFFSETS in rows:
        return rows[OFFSETS] - 1
    if VECTORS in rows:
        return rows[VECTORS]
    # each part of fused embeddings has all items
    return items_in(within(rows, next(iter(rows)).partition("/")[0]))


def within(rows: Mapping[str, int], name: str) -> dict[str, int]:
    """The rows of the files in the folder `name`, by their names in that."""
    start = f"{name}/"
    return {file.removeprefix(start): n for file, n in rows.items() if file.startswith(start)}


def chosen(counts: Counts, items: slice | Sequence[int] | Array) -> Counts:
    """The `counts` of these items, where there are any."""
    return None if counts is None else counts[items]
