"""What the embeddings in a vector folder take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.errors import InputError
from nearfield.similarity.embeddings import OFFSETS, VECTORS
from nearfield.similarity.multi_vector import TOKENS
from nearfield.store.fields import read_json


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
        texts = [f"{self.dim} dimensions of {storage}" if self.kind in ("dense", "several") else ""]
        if self.terms_per_item is not None:
            texts.append(f"{self.terms_per_item:,.1f} terms a text of {storage}")
        if self.tokens_per_item is not None:
            texts.append(f"{self.tokens_per_item:,.1f} vectors a text, {storage}")
        return f"{'; '.join(filter(None, texts))}, {self.bytes_per_item:,.0f} bytes each"


def stored_size(folder: Path) -> StoredSize:
    """What the files of a vector folder take, as their headers say; nothing else is read. Raises InputError where it is none."""
    facts = read_json(folder / "vectors.json")
    kind, items = facts.get("kind", "dense"), facts["items"]
    arrays = {file.relative_to(folder).as_posix(): _mapped(file) for file in folder.rglob("*.npy") if file.name != "ranges.npy"}
    names = {Path(name).name for name in arrays}
    firsts = 8 * sum(Path(name).name == OFFSETS for name in arrays)  # the first of n + 1 offsets is no item's
    size = (sum(array.nbytes for array in arrays.values()) - firsts) / max(1, items)
    terms = sum(len(array) for name, array in arrays.items() if Path(name).name == "terms.npy")
    tokens = sum(len(array) for name, array in arrays.items() if name.endswith(f"{TOKENS}/{VECTORS}"))
    place = {"multi-vector": folder / TOKENS, "several": folder / "dense"}.get(kind, folder)
    dim = read_json(place / "vectors.json")["dim"]
    return StoredSize(
        kind,
        items,
        dim,
        size,
        terms_per_item=terms / max(1, items) if "terms.npy" in names else None,
        tokens_per_item=tokens / max(1, items) if kind in ("multi-vector", "several") else None,
    )


def _mapped(file: Path) -> Any:
    try:
        return np.load(file, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise InputError(f"could not be read: {error}", path=file) from error
