"""What the embeddings in a vector folder take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.errors import InputError
from nearfield.similarity.embeddings import OFFSETS, VECTORS
from nearfield.similarity.multi_vector import TOKENS
from nearfield.store.atomic import read_json


@dataclass(frozen=True)
class StoredSize:
    """`items` embeddings of a kind: `bytes_per_item` on disk on average, and for those that have them the terms or vectors of an item."""

    kind: str
    items: int
    dim: int
    bytes_per_item: float
    terms_per_item: float | None = None
    tokens_per_item: float | None = None

    def described(self, storage: str) -> str:
        """In words, as `384 dimensions of float32, 1,536 bytes each`."""
        size = f"{self.bytes_per_item:,.0f} bytes each"
        if self.terms_per_item is not None:
            return f"{self.terms_per_item:,.1f} of {self.dim:,} terms a text, {storage}, {size}"
        if self.tokens_per_item is not None:
            return f"{self.tokens_per_item:,.1f} vectors a text of {self.dim} dimensions of {storage}, {size}"
        return f"{self.dim} dimensions of {storage}, {size}"


def stored_size(folder: Path) -> StoredSize:
    """What the files of a vector folder take, as their headers say; nothing else is read. Raises InputError where it is none."""
    facts = read_json(folder / "vectors.json")
    kind, items = facts.get("kind", "dense"), facts["items"]
    arrays = {str(file.relative_to(folder)): _mapped(file) for file in folder.rglob("*.npy") if file.name != "ranges.npy"}
    offsets = 8 if OFFSETS in arrays else 0  # the first of n + 1 offsets is no item's
    size = (sum(array.nbytes for array in arrays.values()) - offsets) / max(1, items)
    if kind == "sparse":
        return StoredSize(kind, items, facts["dim"], size, terms_per_item=len(arrays["terms.npy"]) / max(1, items))
    if kind == "multi-vector":
        tokens = len(arrays[f"{TOKENS}/{VECTORS}"]) / max(1, items)
        return StoredSize(kind, items, read_json(folder / TOKENS / "vectors.json")["dim"], size, tokens_per_item=tokens)
    return StoredSize(kind, items, facts["dim"], size)


def _mapped(file: Path) -> Any:
    try:
        return np.load(file, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise InputError(f"could not be read: {error}", path=file) from error
