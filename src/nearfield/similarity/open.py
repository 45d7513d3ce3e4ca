"""A vector folder of whatever kind."""

from __future__ import annotations

import importlib
from pathlib import Path

from nearfield.errors import InputError, nearest
from nearfield.similarity.embeddings import Embeddings
from nearfield.store.fields import read_json

KINDS = {
    "dense": "nearfield.similarity.dense:Dense",
    "multi-vector": "nearfield.similarity.multi_vector:MultiVector",
    "several": "nearfield.similarity.several:Several",
    "sparse": "nearfield.similarity.sparse:Sparse",
}


def open_embeddings(path: str | Path) -> Embeddings:
    """The embeddings in the vector folder at `path`, memory-mapped; a folder that names no kind is dense.

    Raises InputError where the folder is none, or of an unknown kind.
    """
    file = Path(path) / "vectors.json"
    facts = read_json(file)
    kind = facts.get("kind", "dense") if isinstance(facts, dict) else None
    if kind not in KINDS:
        raise InputError(f"holds vectors of kind {kind!r}; known: {', '.join(KINDS)}.{nearest(str(kind), KINDS)}", path=file)
    module, name = KINDS[kind].split(":")
    opened: Embeddings = getattr(importlib.import_module(module), name).open(path)
    return opened
