"""Texts to encode, one at a time, each with its id or with what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Final, NamedTuple

from nearfield.data.collection import Collection
from nearfield.data.columns import Columns, shortened
from nearfield.data.readers.figures import document_text, has_figures
from nearfield.data.readers.jsonl import objects
from nearfield.data.readers.lines import decoded, split_lines
from nearfield.data.readers.rows import Rows
from nearfield.data.record import Record
from nearfield.errors import InputError, nearest
from nearfield.types.figures import COLUMN
from nearfield.types.role import QUERY

STANDARD_INPUT = Path("standard input")
IDS: Final = ("id", "_id")
"""Fields that hold a row's id, the first of them that it has."""


class Row(NamedTuple):
    """A text and its id. `number` is its 1-based line or row; `fault`, where it is not "", says why
    there is no text.
    """

    number: int
    key: str
    text: str
    fault: str = ""


@dataclass(frozen=True)
class Stream:
    """Rows that can be read from the start as often as `rows` is called, but for those of standard
    input.

    `total` counts them before they are read, where that is cheap (lines of a file, blank ones too),
    and gives None otherwise.
    """

    name: str
    rows: Callable[[], Iterator[Row]]
    total: Callable[[], int | None]
    repeatable: bool = True

    def sample(self, count: int = 300) -> list[str]:
        """The first `count` texts, which are read again later; none of standard input, which can be
        read only once.
        """
        if not self.repeatable:
            return []
        return [row.text for row in islice(self.rows(), count) if not row.fault]

    @classmethod
    def of(
        cls, texts: Sequence[str], *, ids: Sequence[str] | None = None, name: str = "texts"
    ) -> Stream:
        """The texts of a sequence, with their `ids`, else their numbers from 1."""

        def rows() -> Iterator[Row]:
            keys: Iterable[str] = map(str, range(1, len(texts) + 1)) if ids is None else ids
            for number, (key, text) in enumerate(zip(keys, texts, strict=True), 1):
                yield Row(number, key, text)

        return cls(name, rows, lambda: len(texts))


def collection_stream(data: Collection, role: str) -> Stream:
    """The collection's queries in the role query, else its documents. Raises InputError where it
    has no queries.
    """
    if role != QUERY:
        return Stream.of(data.document_texts, ids=data.document_ids, name=data.name)
    if not len(data.query_ids):
        raise InputError(
            f"has no queries, only {len(data.document_ids):,} documents; --role document encodes "
            "those, --field a column of a file as queries",
            path=data.name,
        )
    return Stream.of(data.query_texts, ids=data.query_ids, name=data.name)


def document_stream(rows: Rows, columns: Columns, *, name: str) -> Stream:
    """Rows that are documents with ids: each one's title, a blank and its text."""
    key = columns.id or "_id"
    text = columns.text or "text"
    title = columns.title
    read = [column for column in (key, title, text) if column]
    if has_figures(rows):
        read.append(COLUMN)

    def row(record: Record) -> Row:
        whole = f"{record.joined(title)} {document_text(record, text)}".strip()
        return Row(record.line, record.id(key), whole)

    return Stream(name, lambda: _each(rows.tolerant(read), row), rows.count)


def field_stream(rows: Rows, field: str, *, name: str) -> Stream:
    """One field of each row, with the row's id (its number where it has none). Raises InputError
    where the first row has no such field.
    """
    names = rows.names()
    if field not in names:
        raise InputError(
            f"has no field {field!r}; it has {shortened(names)}.{nearest(field, names)}",
            path=rows.place,
        )
    read = [field, *(column for column in IDS if column in names and column != field)]
    return Stream(name, lambda: _each(rows.tolerant(read), _row_of(field)), rows.count)


def stream_standard_input(file: IO[bytes], *, field: str | None = None) -> Stream:
    """Each line of `file` as a text, whose id is its number; with `field` that field of the JSON
    object that each line is.
    """

    def lines() -> Iterator[tuple[int, str | InputError]]:
        for number, raw in split_lines(file, STANDARD_INPUT):
            yield number, decoded(raw, STANDARD_INPUT, number)

    def rows() -> Iterator[Row]:
        if field is not None:
            yield from _each(objects(lines(), STANDARD_INPUT), _row_of(field))
            return
        for number, line in lines():
            if isinstance(line, InputError):
                yield _faulty(line)
            else:
                yield Row(number, str(number), line)

    return Stream(str(STANDARD_INPUT), rows, lambda: None, repeatable=False)


def whole(rows: Iterable[Row]) -> Iterator[Row]:
    """Those that are not blank. Raises InputError for one that cannot be read."""
    for row in rows:
        if row.fault:
            raise InputError(row.fault)
        if row.text.strip():
            yield row


def _row_of(field: str) -> Callable[[Record], Row]:
    """What makes a row of a record: its `field`, and its id where it has one."""

    def row(record: Record) -> Row:
        text = record.text(field)
        for name in IDS:
            # an id that is asked for as the text is none
            if name != field and record.values.get(name) is not None:
                return Row(record.line, record.text(name), text)
        return Row(record.line, str(record.line), text)

    return row


def _each(records: Iterable[Record | InputError], row: Callable[[Record], Row]) -> Iterator[Row]:
    """The row that is made of each record, or what is wrong with it."""
    for record in records:
        if isinstance(record, InputError):
            yield _faulty(record)
            continue
        try:
            yield row(record)
        except InputError as error:
            yield _faulty(error)


def _faulty(error: InputError) -> Row:
    number = error.line or 0
    return Row(number, str(number), "", str(error))
