"""A vector folder of whatever kind."""

from __future__ import annotations

import importlib
from pathlib import Path

from nearfield.errors import InputError, nearest
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.facts import FACTS, check_whole, read_facts
from nearfield.store.atomic import read_folder

KINDS = {
    "dense": "nearfield.similarity.dense:Dense",
    "multi-vector": "nearfield.similarity.multi_vector:MultiVector",
    "several": "nearfield.similarity.several:Several",
    "sparse": "nearfield.similarity.sparse:Sparse",
}


def open_embeddings(path: str | Path) -> Embeddings:
    """The embeddings in the vector folder at `path`, memory-mapped; a folder that names no kind is
    dense.

    Raises InputError where the folder is none, is damaged, or of an unknown kind.
    """
    return read_folder(path, _open)


def _open(folder: Path) -> Embeddings:
    kind = read_facts(folder).text("kind", "dense")
    if kind not in KINDS:
        raise InputError(
            f"holds vectors of kind {kind!r}; known: {', '.join(KINDS)}.{nearest(kind, KINDS)}",
            path=folder / FACTS,
        )
    module, name = KINDS[kind].split(":")
    opened: Embeddings = getattr(importlib.import_module(module), name).open(folder)
    check_whole(folder, opened.arrays())
    return opened
