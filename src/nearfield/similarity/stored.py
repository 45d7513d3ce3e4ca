"""What the embeddings in a vector folder take, and what they are called."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nearfield.errors import InputError
from nearfield.similarity.dense import RANGES
from nearfield.similarity.embeddings import IDS, OFFSETS, VECTORS
from nearfield.similarity.facts import items_of, part_of, read_facts
from nearfield.similarity.multi_vector import TOKENS
from nearfield.store.array import read_header
from nearfield.store.regular import open_regular

_LONGEST_ID = 1 << 20  # bytes


@dataclass(frozen=True)
class StoredSize:
    """`items` embeddings of a kind: `bytes_per_item` on disk on average, and for those that have
    them the terms or vectors of an item.
    """

    kind: str
    items: int
    dim: int
    bytes_per_item: float
    terms_per_item: float | None = None
    tokens_per_item: float | None = None

    def described(self, storage: str) -> str:
        """In words, as `384 dimensions of float32, 1,536 bytes each`."""
        texts = [f"{self.dim} dimensions of {storage}" if self.kind in ("dense", "several") else ""]
        if self.terms_per_item is not None:
            texts.append(f"{self.terms_per_item:,.1f} terms a text of {storage}")
        if self.tokens_per_item is not None:
            texts.append(f"{self.tokens_per_item:,.1f} vectors a text, {storage}")
        return f"{'; '.join(filter(None, texts))}, {self.bytes_per_item:,.0f} bytes each"


def stored_size(folder: Path) -> StoredSize:
    """What the files of a vector folder take, as their headers say; nothing else is read. Raises
    InputError where it is none.
    """
    facts = read_facts(folder)
    kind, items = facts.text("kind", "dense"), items_of(facts)
    files = (
        file
        for file in folder.rglob("*.npy")
        if file.name != RANGES and not file.parent.name.startswith("index-")
    )
    arrays = {file.relative_to(folder).as_posix(): read_header(file) for file in files}
    names = {Path(name).name for name in arrays}
    # the first of n + 1 offsets is no item's
    firsts = 8 * sum(Path(name).name == OFFSETS for name in arrays)
    size = (sum(array.nbytes for array in arrays.values()) - firsts) / max(1, items)
    terms = sum(array.shape[0] for name, array in arrays.items() if Path(name).name == "terms.npy")
    tokens = sum(
        array.shape[0] for name, array in arrays.items() if name.endswith(f"{TOKENS}/{VECTORS}")
    )
    place = {"multi-vector": TOKENS, "several": "dense"}.get(kind)
    dim = read_facts(folder if place is None else part_of(folder, place)).integer("dim", low=1)
    return StoredSize(
        kind,
        items,
        dim,
        size,
        terms_per_item=terms / max(1, items) if "terms.npy" in names else None,
        tokens_per_item=tokens / max(1, items) if kind in ("multi-vector", "several") else None,
    )


def read_ids(folder: Path) -> Iterator[str] | None:
    """The ids of a vector folder's items, in their order; None where it has none. Raises InputError
    where a line is no id.
    """
    file = folder / IDS
    return _ids(file) if os.path.lexists(file) else None


def _ids(path: Path) -> Iterator[str]:
    with open_regular(path) as lines:
        for number, line in enumerate(iter(lambda: lines.readline(_LONGEST_ID + 1), b""), 1):
            if len(line) > _LONGEST_ID:
                raise InputError(
                    f"holds an id of more than {_LONGEST_ID:,} bytes; wanted one "
                    "JSON string a line",
                    path=path,
                    line=number,
                )
            try:
                name = json.loads(line)
            except (ValueError, RecursionError) as error:
                said = (
                    error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
                )
                raise InputError(
                    f"is not JSON: {said}; wanted one JSON string a line", path=path, line=number
                ) from error
            if not isinstance(name, str | int):
                raise InputError(
                    f"holds a {type(name).__name__}; wanted one JSON string a line",
                    path=path,
                    line=number,
                )
            yield str(name)
