"""The index that lies beside a folder's vectors, made where there is none that will do."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from nearfield.errors import ContractError, InputError, NearfieldWarning, StorageError
from nearfield.indexes import EXACT, INDEXES
from nearfield.indexes.index import Index, exact_index
from nearfield.indexes.recall import narrowest
from nearfield.indexes.shortlist import FACTS, Shortlist
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.embeddings import Embeddings
from nearfield.store.inside import inside
from nearfield.store.kept import say_damaged


def refuse_kind(name: str, kind: str) -> None:
    """Raise ContractError where the index called `name` does not take embeddings of this kind."""
    if name != EXACT and not issubclass(EMBEDDINGS[kind], INDEXES[name].takes):
        raise ContractError(
            f"the index {name} is not for {kind} embeddings, which are searched exactly; "
            "leave it out"
        )


def indexed(
    documents: Embeddings, name: str, *, k: int, recall: float, folder: Path | None = None
) -> Index[Any]:
    """The index called `name` of these documents; "exact" is the fastest exact one of their kind,
    and the recall at k of a shortlist was measured to reach `recall`.

    A shortlist is kept in the vector folder `folder`, where there is one, as `index-NAME`, and
    taken from there when it was made of these vectors; for another k or recall it is made again.
    Warns with NearfieldWarning where the folder cannot be written. Raises InputError as `narrowest`
    does, ContractError for embeddings that the index does not take.
    """
    if name == EXACT:
        return exact_index(documents)
    kind = INDEXES[name]
    if not issubclass(kind, Shortlist):
        return kind.of(documents)
    vectors = kind.fitting(documents)
    if folder is None:
        return narrowest(kind, vectors, k=k, recall=recall)
    # a link there must not lead to another folder's index
    place = inside(folder, f"index-{name}/{FACTS}", path=folder).parent
    kept: Shortlist | None = None
    if place.exists():
        try:
            # None where the index was made of other vectors than those that lie there
            kept = kind.open(place, vectors)
        except InputError as error:
            say_damaged(error)
    # the length of its shortlist was measured for one k and recall
    if kept is not None and (kept.k, kept.recall) == (k, recall):
        return kept
    made = narrowest(kind, vectors, k=k, recall=recall)
    try:
        made.save(place)
    except StorageError as error:
        message = f"the index is not kept and will be made again: {error}"
        warnings.warn(message, NearfieldWarning, stacklevel=2)
    return made
