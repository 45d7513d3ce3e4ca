"""What an encoder gives, whatever the kind: it knows its own similarity, slicing and storage."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from nearfield.types.usage import Usage

Array = npt.NDArray[Any]


class Embeddings(ABC):
    """Representations of n items. `kind` is the registry's name; `similarity` says how two of them are compared."""

    kind: ClassVar[str]
    similarity: str
    usage: Usage

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
        """Similarity of each of these n queries to each of m documents: (n, m) float32, higher is closer.

        Raises ContractError where the two come from different spaces.
        """

    @classmethod
    @abstractmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The items of all parts, one after the other, as the first part is stored and compared. Wants one part at least."""

    @abstractmethod
    def quantise(self, storage: str, *, like: Self | None = None) -> Self:
        """The same items at another storage type. Raises ContractError for one that this kind does not have."""

    @abstractmethod
    def save(self, path: str | Path, *, ids: Sequence[str] | None = None) -> None:
        """Write a vector folder, whole or not at all; `ids`, where given, name the items, as `ids.jsonl`: one JSON string a line."""

    @classmethod
    @abstractmethod
    def open(cls, path: str | Path) -> Self:
        """A vector folder, memory-mapped. Raises InputError where it is none of this kind or its parts do not fit."""


def write_ids(folder: Path, ids: Sequence[str] | None) -> None:
    """The names of the items as `ids.jsonl` in `folder`, where there are any."""
    if ids is not None:
        with open(folder / "ids.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(name, ensure_ascii=False) + "\n" for name in ids)
