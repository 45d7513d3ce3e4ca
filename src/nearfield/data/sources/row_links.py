"""Rows that point at others by ids, as a collection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nearfield.data.collection import ALL
from nearfield.data.columns import Columns, columns_of
from nearfield.data.readers.column_names import FLAGS, KEYS, plain
from nearfield.data.readers.pointers import Pointer, id_in, pointers
from nearfield.data.readers.rows import Rows
from nearfield.data.record import Record, relevance_of
from nearfield.data.writer import CollectionWriter

_RELEVANCE = {*KEYS["relevance"], *FLAGS, "score"}


class Links(NamedTuple):
    """Which column points at the documents, and which at the queries or holds them."""

    documents: Pointer
    columns: Columns
    query: str
    queries: Pointer | None = None

    def __str__(self) -> str:
        query = f"{self.query!r} is the query"
        if self.queries is not None:
            query = f"{self.queries.column!r} is of {_name(self.queries.target)}"
        document = f"{self.documents.column!r} of {_name(self.documents.target)}"
        relevance = "every row is of a relevant one"
        if self.relevance is not None:
            relevance = f"{self.relevance!r} says which"
        return f"{_name(self.documents.source)}: {query}, {document}; {relevance}"

    def tables(self) -> list[Rows]:
        """The tables that are read."""
        read = [self.documents.source, self.documents.target]
        if self.queries is not None:
            read.append(self.queries.target)
        return read

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
    for record in to.target:
        # in a table that points at itself, as a question does at its answer's row
        other = id_in(record, to.column) not in ("", id_in(record, to.key))
        if to.source is not to.target or not other:
            text = record.joined(links.columns.text)
            title = record.joined(links.columns.title)
            writer.document(id_in(record, to.key), text, title=title)
    rows = [record for record in to.source if id_in(record, to.column)]
    queries = _write_queries(links, rows, writer)
    relevance = links.relevance
    judged = dict[tuple[str, str], int]()
    for query, record in zip(queries, rows, strict=True):
        value = 1 if relevance is None else record.values[relevance]
        grade = relevance_of(value, record.place, record.line)
        pair = query, id_in(record, to.column)
        judged[pair] = max(judged.get(pair, 0), grade)
    for (query, document), grade in judged.items():
        writer.judgement(query, document, grade, to.source.split or ALL)


def _write_queries(links: Links, rows: Sequence[Record], writer: CollectionWriter) -> list[str]:
    """Write the queries, and the id of each row's. Those that are in the rows themselves are
    numbered from 1.
    """
    asked = links.queries
    if asked is not None:
        for record in asked.target:
            writer.query(id_in(record, asked.key), record.text(links.query))
        return [id_in(record, asked.column) for record in rows]
    texts = [record.text(links.query) for record in rows]
    keys = {text: str(number) for number, text in enumerate(dict.fromkeys(texts), 1)}
    for text, key in keys.items():
        writer.query(key, text)
    return [keys[text] for text in texts]


def own_links(rows: Rows) -> Links | None:
    """The links within one table, whose document column holds ids of its own rows; None where it
    holds texts.
    """
    layout = rows.layout
    # a document's column without texts, which was stated, may hold ids
    if layout.query is None or not rows.contents.textless({layout.positive or ""}):
        return None
    found = [each for each in pointers([rows]) if each.column == layout.positive]
    if not found:
        return None
    return Links(found[0], columns_of(rows.names(), rows.place), layout.query)


def _name(rows: Rows) -> str:
    return Path(rows.place).name
