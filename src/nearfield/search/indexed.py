"""The index that lies beside a folder's vectors, made where there is none that will do."""

from __future__ import annotations

import warnings
from pathlib import Path

from nearfield.errors import InputError, NearfieldWarning, StorageError
from nearfield.index import shortlist_kind
from nearfield.index.recall import narrowest
from nearfield.index.shortlist import FACTS, Shortlist, digest
from nearfield.similarity.dense import Dense
from nearfield.store.inside import inside
from nearfield.store.kept import say_damaged


def indexed(
    documents: Dense, kind: str, *, k: int, recall: float, folder: Path | None = None
) -> Shortlist:
    """An index of this kind whose recall at k was measured to reach `recall`.

    It is kept in the vector folder `folder`, where there is one, as `index-KIND`, and taken from
    there when it was made of these vectors; for another k or recall it is made again. Warns with
    NearfieldWarning where the folder cannot be written. Raises InputError as `narrowest` does.
    """
    of_kind = shortlist_kind(kind)
    place = None if folder is None else inside(folder, f"index-{kind}/{FACTS}", path=folder).parent
    index = None if place is None else _kept(of_kind, place, documents)
    if index is not None and (index.k, index.recall) == (k, recall):
        return index
    index = narrowest(of_kind, documents, k=k, recall=recall)
    if place is not None:
        try:
            index.save(place)
        except StorageError as error:
            warnings.warn(
                f"the index is not kept and will be made again: {error}",
                NearfieldWarning,
                stacklevel=2,
            )
    return index


def _kept(kind: type[Shortlist], place: Path, documents: Dense) -> Shortlist | None:
    if not place.exists():
        return None
    try:
        index = kind.open(place)
    except InputError as error:
        say_damaged(error)
        return None
    return (
        index
        if (index.made_of, index.similarity) == (digest(documents), documents.similarity)
        else None
    )
