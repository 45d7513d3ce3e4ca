"""What is searched, in whatever form it is given, as a Collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from nearfield.data.collection import DOCUMENTS, JUDGEMENTS, QUERIES, Collection
from nearfield.data.open import open_collection
from nearfield.errors import InputError

Documents = Collection | str | Path | list[str] | list[Mapping[str, str]]
FIELDS = ("id", "title", "text")


def collection_of(documents: Documents) -> Collection:
    """A collection, the one at a path, or one of texts or of records.

    A text has its number from 1 as its id. A record is a mapping with a `text` and, if it has them,
    an `id` and a `title`. Raises InputError for anything else, and as `open_collection` does.
    """
    if isinstance(documents, Collection):
        return documents
    if isinstance(documents, (str, Path)):
        return open_collection(documents)
    given: Sequence[str | Mapping[str, str]] = documents
    rows = [_row(number, document) for number, document in enumerate(given, 1)]
    return Collection(
        "documents",
        pa.Table.from_pylist(rows, DOCUMENTS),
        QUERIES.empty_table(),
        JUDGEMENTS.empty_table(),
        documents_only=True,
    )


def _row(number: int, document: str | Mapping[str, str]) -> dict[str, str]:
    row = {"id": str(number), "title": "", "group": ""}
    if isinstance(document, str):
        return row | {"text": document}
    unknown = sorted(set(document) - set(FIELDS))
    if unknown or "text" not in document:
        got = ", ".join(document)
        raise InputError(
            f"document {number} has the fields {got}; wanted text, and id and title if it has them"
        )
    return row | {name: str(value) for name, value in document.items()}
