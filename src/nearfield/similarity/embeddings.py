"""What an encoder gives, whatever the kind: it knows its own similarity, slicing and storage."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from nearfield.similarity.facts import OFFSETS as OFFSETS
from nearfield.similarity.facts import write_checksums
from nearfield.store.array import checksum
from nearfield.store.atomic import staged_folder
from nearfield.types.usage import Usage

Array = npt.NDArray[Any]
VECTORS, IDS = "vectors.npy", "ids.jsonl"
"""What a file of vectors, one a row, and one of ids are called in a vector folder of any kind."""


class Embeddings(ABC):
    """Representations of n items. `kind` is the registry's name; `similarity` says how two of them
    are compared.

    `counts`: (n, 2) int64, tokens read and tokens lost of each item, where what made them counted
    them; not stored.
    """

    kind: ClassVar[str]
    similarity: str
    usage: Usage
    counts: npt.NDArray[np.int64] | None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, items: slice | Sequence[int] | Array) -> Self:
        """The items at these positions, in that order."""

    @property
    @abstractmethod
    def bytes_per_item(self) -> float:
        """Mean bytes that one item takes in memory and on disk."""

    @abstractmethod
    def scores(self, documents: Self) -> npt.NDArray[np.float32]:
        """Similarity of each of these n queries to each of m documents: (n, m) float32, higher is
        closer.

        Raises ContractError where the two come from different spaces.
        """

    @classmethod
    @abstractmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The items of all parts, one after the other, as the first part is stored and compared.
        Wants one part at least.
        """

    @abstractmethod
    def quantise(self, storage: str, *, like: Self | None = None) -> Self:
        """The same items at another storage type. Raises ContractError for one that this kind does
        not have.
        """

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """What a vector folder holds of these items, by the file's name in it.

        Of each array the items' rows follow each other; an `offsets.npy` says where those of an
        item begin in the files beside it.
        """

    @abstractmethod
    def save_facts(self, folder: Path, rows: Mapping[str, int]) -> None:
        """Write only `vectors.json`, for a folder whose `arrays` have so many rows; they were
        written by another hand.
        """

    @abstractmethod
    def records(self) -> list[bytes]:
        """The values of each item, float32, as bytes."""

    @abstractmethod
    def of_records(self, records: Sequence[bytes]) -> Self:
        """Items of this kind, stored as float32 and compared as these are, from what `records` gave
        of them, bit for bit.
        """

    @abstractmethod
    def peaks(self) -> npt.NDArray[np.float32]:
        """(n,) the greatest magnitude of each item's values; 0 of an item that has none."""

    def save(self, path: str | Path, *, ids: Sequence[str] | None = None) -> None:
        """Write a vector folder, whole or not at all: `arrays`, and `vectors.json`, which says what
        they are.

        `ids`, where given, name the items in the same order, as `ids.jsonl`: one JSON string a
        line.
        """
        with staged_folder(path) as stage:
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
        """A vector folder, memory-mapped. Raises InputError where it is none of this kind or its
        parts do not fit.
        """


def chosen(
    counts: npt.NDArray[np.int64] | None, items: slice | Sequence[int] | Array
) -> npt.NDArray[np.int64] | None:
    """The `counts` of these items, where there are any."""
    return None if counts is None else counts[items]
