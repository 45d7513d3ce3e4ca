"""Rows that point at others by ids, as a collection."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from nearfield.data.collection import ALL
from nearfield.data.columns import Columns, columns_of
from nearfield.data.readers.column_names import FLAGS, KEYS, plain
from nearfield.data.readers.pointers import Pointer, id_in, pointers
from nearfield.data.readers.rows import Rows
from nearfield.data.record import relevance_of
from nearfield.data.writer import CollectionWriter

_RELEVANCE = {*KEYS["relevance"], *FLAGS, "score"}


class Links(NamedTuple):
    """Which column points at the documents, and which at the queries or holds them."""

    documents: Pointer
    columns: Columns
    query: str
    queries: Pointer | None = None

    def __str__(self) -> str:
        said = f"{_name(self.documents.source)}: "
        if self.queries is None:
            said += f"{self.query!r} is the query"
        else:
            said += f"{self.queries.column!r} is of {_name(self.queries.target)}"
        relevance = self.relevance
        how = "every row is of a relevant one" if relevance is None else f"{relevance!r} says which"
        return f"{said}, {self.documents.column!r} of {_name(self.documents.target)}; {how}"

    def tables(self) -> list[Rows]:
        """The tables that are read."""
        asked = [] if self.queries is None else [self.queries.target]
        return [self.documents.source, self.documents.target, *asked]

    @property
    def relevance(self) -> str | None:
        """The column that says which documents are relevant."""
        names = self.documents.source.names()
        return next((name for name in names if plain(name) in _RELEVANCE), None)


def write_links(links: Links, writer: CollectionWriter) -> None:
    """Write the documents, the queries and a judgement for each row that points at a document. Rows
    that point at others of their own table are no documents; of rows that repeat a judgement, as in
    a log of clicks, the highest counts.
    """
    to = links.documents
    columns = links.columns
    own = links.documents.source
    for record in to.target:
        other = id_in(record, to.column) not in ("", id_in(record, to.key))
        if own is not to.target or not other:
            text = record.joined(columns.text)
            title = record.joined(columns.title)
            writer.document(id_in(record, to.key), text, title=title)
    rows = [record for record in own if id_in(record, to.column)]
    asked = links.queries
    if asked is None:
        texts = dict.fromkeys(record.text(links.query) for record in rows)
        keys = {text: str(number) for number, text in enumerate(texts, 1)}
        for text, key in keys.items():
            writer.query(key, text)
        queries = [keys[record.text(links.query)] for record in rows]
    else:
        for record in asked.target:
            writer.query(id_in(record, asked.key), record.text(links.query))
        queries = [id_in(record, asked.column) for record in rows]
    relevance = links.relevance
    judged = dict[tuple[str, str], int]()
    for query, record in zip(queries, rows, strict=True):
        value = 1 if relevance is None else record.values[relevance]
        pair = query, id_in(record, to.column)
        judged[pair] = max(judged.get(pair, 0), relevance_of(value, record.place, record.line))
    for (query, document), grade in judged.items():
        writer.judgement(query, document, grade, own.split or ALL)


def own_links(rows: Rows) -> Links | None:
    """The links within one table, whose document column holds ids of its own rows; None where it
    holds texts.
    """
    layout = rows.layout
    if layout.query is None or not rows.contents.textless({layout.positive or ""}):
        return None
    found = [each for each in pointers([rows]) if each.column == layout.positive]
    if not found:
        return None
    return Links(found[0], columns_of(rows.names(), rows.place), layout.query)


def _name(rows: Rows) -> str:
    return Path(rows.place).name
