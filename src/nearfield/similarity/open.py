"""A vector folder of any kind."""

from __future__ import annotations

from pathlib import Path

from nearfield.errors import InputError, nearest
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.facts import FACTS, check_whole, read_facts
from nearfield.store.atomic import read_folder


def open_embeddings(path: str | Path) -> Embeddings:
    """The embeddings in the vector folder at `path`, memory-mapped.

    Raises InputError where it is not a vector folder, is damaged, or of an unknown kind.
    """
    return read_folder(path, _open)


def kind_of(folder: Path) -> type[Embeddings]:
    """The kind of the embeddings in a vector folder; one that names no kind is dense. Raises
    InputError for an unknown kind.
    """
    kind = read_facts(folder).text("kind", "dense")
    if kind not in EMBEDDINGS:
        known = list(EMBEDDINGS)
        raise InputError(
            f"holds vectors of kind {kind!r}; known: {', '.join(known)}.{nearest(kind, known)}",
            path=folder / FACTS,
        )
    return EMBEDDINGS[kind]


def _open(folder: Path) -> Embeddings:
    opened = kind_of(folder).open(folder)
    check_whole(folder, opened.arrays())
    return opened
