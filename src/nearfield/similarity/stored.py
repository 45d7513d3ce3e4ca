"""What the embeddings in a vector folder take, and what they are called."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nearfield.errors import InputError
from nearfield.similarity.embeddings import IDS, OFFSETS, RANGES, VECTORS
from nearfield.similarity.facts import FACTS, items_of, part_of, read_facts
from nearfield.similarity.multi_vector import TOKENS
from nearfield.store.array import read_header
from nearfield.store.regular import open_regular

_LONGEST_ID = 1 << 20  # bytes


@dataclass(frozen=True)
class StoredSize:
    """`items` embeddings: `bytes_per_item` on disk on average, and the terms or token vectors per
    item of embeddings that have them. `whole`: an item has a vector of its own.
    """

    kind: str
    items: int
    dim: int
    bytes_per_item: float
    whole: bool = True
    terms_per_item: float | None = None
    tokens_per_item: float | None = None

    def described(self, storage: str) -> str:
        """In words, as `384 dimensions of float32, 1,536 bytes each`."""
        texts = []
        if self.whole:
            texts.append(f"{self.dim} dimensions of {storage}")
        if self.terms_per_item is not None:
            texts.append(f"{self.terms_per_item:,.1f} terms per text of {storage}")
        if self.tokens_per_item is not None:
            texts.append(f"{self.tokens_per_item:,.1f} vectors per text, {storage}")
        return f"{'; '.join(texts)}, {self.bytes_per_item:,.0f} bytes each"


def stored_size(folder: Path) -> StoredSize:
    """What the files of a vector folder take, as their headers say; nothing else is read. Raises
    InputError where it is not one.
    """
    facts = read_facts(folder)
    items = items_of(facts)
    size = 0
    whole = False
    terms: int | None = None
    tokens: int | None = None
    for file in folder.rglob("*.npy"):
        # neither the ranges of all items' codes nor an index is any item's
        if file.name == RANGES or file.parent.name.startswith("index-"):
            continue
        array = read_header(file)
        size += array.nbytes
        if file.name == OFFSETS:
            size -= 8  # the first of n + 1 offsets belongs to no item
        elif file.name == "terms.npy":
            terms = (terms or 0) + array.shape[0]
        elif file.name == VECTORS and file.parent.name == TOKENS:
            tokens = (tokens or 0) + array.shape[0]
        elif file.name == VECTORS:
            whole = True
    return StoredSize(
        facts.text("kind", "dense"),
        items,
        _dim(folder),
        size / max(1, items),
        whole=whole,
        terms_per_item=None if terms is None else terms / max(1, items),
        tokens_per_item=None if tokens is None else tokens / max(1, items),
    )


def _dim(folder: Path) -> int:
    """The dimensions that a vector folder states, or the first of those within it."""
    for _ in range(3):  # fused embeddings, their tokens, the vectors of those
        facts = read_facts(folder)
        inner = sorted(file.parent.name for file in folder.glob(f"*/{FACTS}"))
        if "dim" in facts or not inner:
            break
        names = facts.texts("parts", inner) or inner
        folder = part_of(folder, names[0])
    return int(facts.integer("dim", low=1))


def read_ids(folder: Path) -> Iterator[str] | None:
    """The ids of a vector folder's items, in their order; None where it has none. Raises InputError
    where a line is not an id.
    """
    file = folder / IDS
    return _ids(file) if os.path.lexists(file) else None


def _ids(path: Path) -> Iterator[str]:
    with open_regular(path) as lines:
        for number, line in enumerate(iter(lambda: lines.readline(_LONGEST_ID + 1), b""), 1):
            if len(line) > _LONGEST_ID:
                raise InputError(
                    f"holds an id of more than {_LONGEST_ID:,} bytes; wanted one "
                    "JSON string per line",
                    path=path,
                    line=number,
                )
            try:
                name = json.loads(line)
            except (ValueError, RecursionError) as error:
                said = type(error).__name__
                if isinstance(error, json.JSONDecodeError):
                    said = error.msg
                raise InputError(
                    f"is not JSON: {said}; wanted one JSON string per line", path=path, line=number
                ) from error
            if not isinstance(name, str | int):
                raise InputError(
                    f"holds a {type(name).__name__}; wanted one JSON string per line",
                    path=path,
                    line=number,
                )
            yield str(name)
