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
    arrays = {
        file.relative_to(folder): read_header(file)
        for file in folder.rglob("*.npy")
        if file.name != RANGES and not file.parent.name.startswith("index-")
    }
    # the first of n + 1 offsets belongs to no item
    firsts = 8 * sum(file.name == OFFSETS for file in arrays)
    size = sum(array.nbytes for array in arrays.values()) - firsts
    vectors = {file: array for file, array in arrays.items() if file.name == VECTORS}
    terms = [array.shape[0] for file, array in arrays.items() if file.name == "terms.npy"]
    tokens = [array.shape[0] for file, array in vectors.items() if file.parent.name == TOKENS]
    return StoredSize(
        facts.text("kind", "dense"),
        items,
        _dim(folder),
        size / max(1, items),
        whole=len(vectors) > len(tokens),
        terms_per_item=sum(terms) / max(1, items) if terms else None,
        tokens_per_item=sum(tokens) / max(1, items) if tokens else None,
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
