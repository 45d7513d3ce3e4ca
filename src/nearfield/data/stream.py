"""Texts to encode from a source of any size, one at a time, each with its id or with what is wrong
with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

import pyarrow as pa

from nearfield.data import collection
from nearfield.data.arrow import batches, conform, open_table
from nearfield.data.collection import DOCUMENTS, QUERIES, Collection
from nearfield.data.columns import Columns, columns_of, id_of, shortened, text_of, texts_of
from nearfield.data.open import EMBEDDED, open_collection
from nearfield.data.readers import ROW_FORMATS, TolerantRecord, beir, jsonl, parquet
from nearfield.data.readers.lines import decoded, reading, split_lines, tolerant_lines
from nearfield.data.readers.tolerant import tolerant_records
from nearfield.data.texts import Texts
from nearfield.errors import InputError, nearest
from nearfield.store.regular import open_regular
from nearfield.types.role import QUERY

_BLOCK = 1 << 20  # bytes read at a time to count lines
_COUNTED = 1 << 36  # bytes of a file whose lines are counted: half a minute
STANDARD_INPUT = Path("standard input")
IDS = ("id", "_id")
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
    and gives None else.
    """

    name: str
    rows: Callable[[], Iterator[Row]]
    total: Callable[[], int | None]
    repeatable: bool = True

    def sample(self, count: int = 300) -> list[str]:
        """The first so many texts, which are read again later; none of standard input, which can be
        read only once.
        """
        rows = islice(self.rows(), count) if self.repeatable else ()
        return [row.text for row in rows if not row.fault]

    @classmethod
    def of(
        cls, texts: Sequence[str], *, ids: Sequence[str] | None = None, name: str = "texts"
    ) -> Stream:
        """The texts of a sequence, with their `ids`, else their numbers from 1."""

        def rows() -> Iterator[Row]:
            keys: Iterable[str] = map(str, range(1, len(texts) + 1)) if ids is None else ids
            pairs = zip(keys, texts, strict=True)
            return (Row(number, key, text) for number, (key, text) in enumerate(pairs, 1))

        return cls(name, rows, lambda: len(texts))


def stream_standard_input(file: IO[bytes], *, field: str | None = None) -> Stream:
    """Each line of `file` as a text, whose id is its number; with `field` that field of the JSON
    object that each line is.
    """
    here = STANDARD_INPUT

    def lines() -> Iterator[tuple[int, str | InputError]]:
        return ((number, decoded(raw, here, number)) for number, raw in split_lines(file, here))

    if field is None:
        return Stream(str(here), lambda: _line_rows(lines()), lambda: None, repeatable=False)
    return Stream(
        str(here),
        lambda: _rows(jsonl.objects(lines(), here), _field_row(here, field)),
        lambda: None,
        repeatable=False,
    )


def open_stream(source: str | Path, role: str, *, field: str | None = None) -> Stream:
    """The texts of a source for an encode in `role`, in bounded memory where the source allows it.

    A .txt file gives its lines. With `field`, a JSONL, CSV, TSV or Parquet file gives that field of
    each row, with the row's id (its number where it has none). All else is read as the collection
    that `open_collection` makes of it: its queries in the role query, else its documents. Folders
    by nearfield, BEIR folders and files of documents with ids are streamed; other collections are
    converted first. Raises InputError as `open_collection` does; what is wrong with a single row
    that can be told from the others is in its `fault`.
    """
    path = Path(source)
    if path.suffix.lower() == ".txt" and not path.is_dir():
        _refuse_field(field, path)
        return Stream(path.name, lambda: _line_rows(tolerant_lines(path)), lambda: _lines_in(path))
    if path.suffix.lower() in ROW_FORMATS and path.is_file():
        read = (
            _reader_of_field(path, field) if field is not None else _reader_of_documents(path, role)
        )
        if read is not None:
            return Stream(path.name, read, lambda: _rows_in(path))
    _refuse_field(field, path)
    if source in EMBEDDED:
        return _of_collection(open_collection(source), role)
    if (path / collection.MANIFEST).is_file():
        return _stored(path, role)
    if (path / beir.CORPUS).is_file():
        file = path / (beir.QUERIES if role == QUERY else beir.CORPUS)
        columns = columns_of(("_id", "title", "text"), file)
        return Stream(path.name, lambda: _document_rows(file, columns), lambda: _lines_in(file))
    return _of_collection(open_collection(source), role)


def _line_rows(lines: Iterable[tuple[int, str | InputError]]) -> Iterator[Row]:
    for number, line in lines:
        yield (
            Row(number, str(number), line)
            if isinstance(line, str)
            else Row(number, str(number), "", str(line))
        )


def _refuse_field(field: str | None, path: Path) -> None:
    if field is not None:
        raise InputError(
            f"has no fields, and {field!r} was asked for; only {', '.join(ROW_FORMATS)} files have",
            path=path,
        )


def _reader_of_field(path: Path, field: str) -> Callable[[], Iterator[Row]]:
    """What reads one field of each row. Raises InputError where the first row has no such field."""
    names = _names(path)
    if field not in names:
        raise InputError(
            f"has no field {field!r}; it has {shortened(names)}.{nearest(field, names)}", path=path
        )
    columns = [field, *(name for name in IDS if name in names and name != field)]
    return lambda: _rows(_records(path, columns), _field_row(path, field))


def _field_row(path: Path, field: str) -> Callable[[int, Mapping[str, Any]], Row]:
    """What makes a row of a record: its `field`, and its id where it has one."""

    def row(number: int, record: Mapping[str, Any]) -> Row:
        key = next((name for name in IDS if name != field and record.get(name) is not None), None)
        text = text_of(record, field, path, number)
        return Row(number, str(number) if key is None else text_of(record, key, path, number), text)

    return row


def _reader_of_documents(path: Path, role: str) -> Callable[[], Iterator[Row]] | None:
    """What reads a file of documents that have ids; None for other files, whose rows are not one
    document each.
    """
    columns = columns_of(_names(path), path)
    if role == QUERY or columns.paired or columns.id is None:
        return None
    return lambda: _document_rows(path, columns)


def _document_rows(path: Path, columns: Columns) -> Iterator[Row]:
    key, text, title = columns.id or "_id", columns.text or "text", columns.title

    def row(number: int, record: Mapping[str, Any]) -> Row:
        heading = "".join(texts_of(record, title, path, number)) if title else ""
        body = text_of(record, text, path, number)
        return Row(number, id_of(record, key, path, number), f"{heading} {body}".strip())

    return _rows(_records(path, [name for name in (key, title, text) if name]), row)


def _rows(
    records: Iterator[TolerantRecord], row: Callable[[int, Mapping[str, Any]], Row]
) -> Iterator[Row]:
    for number, record in records:
        try:
            if isinstance(record, InputError):
                raise record
            yield row(number, record)
        except InputError as error:
            yield Row(number, str(number), "", str(error))


def _records(path: Path, columns: Sequence[str]) -> Iterator[TolerantRecord]:
    return (
        parquet.tolerant_records(path, columns=columns)
        if path.suffix.lower() == ".parquet"
        else tolerant_records(path)
    )


def _names(path: Path) -> list[str]:
    """The fields of the file's first whole row. Raises InputError where it has none."""
    if path.suffix.lower() == ".parquet":
        return parquet.names(path)
    first: InputError | None = None
    for _, record in tolerant_records(path):
        if not isinstance(record, InputError):
            return list(record)
        first = first or record
    raise first or InputError("the file has no rows", path=path)


def _rows_in(path: Path) -> int | None:
    return parquet.count(path) if path.suffix.lower() == ".parquet" else _lines_in(path)


def _lines_in(path: Path) -> int | None:
    with reading(path), open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > _COUNTED:
            return None
        return sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))


def _stored(path: Path, role: str) -> Stream:
    """The documents or queries of a folder that nearfield wrote, a record batch at a time: mapped
    pages would count as memory.
    """
    queries = role == QUERY
    table, schema = (
        path / f"{'queries' if queries else 'documents'}.arrow",
        QUERIES if queries else DOCUMENTS,
    )

    def rows() -> Iterator[Row]:
        before = 0
        for batch in batches(table):
            part = conform(pa.Table.from_batches([batch]), schema, what=str(table))
            texts = Texts(part["text"]) if queries else Texts(part["title"], part["text"])
            pairs = zip(Texts(part["id"]), texts, strict=True)
            yield from (
                Row(number, key, text) for number, (key, text) in enumerate(pairs, before + 1)
            )
            before += len(part)

    return Stream(path.name, rows, lambda: len(open_table(table)))


def _of_collection(data: Collection, role: str) -> Stream:
    if role == QUERY:
        if not len(data.query_ids):
            lacks = f"has no queries, only {len(data.document_ids):,} documents"
            raise InputError(
                f"{lacks}; --role document encodes those, --field a column of a file as queries",
                path=data.name,
            )
        return Stream.of(data.query_texts, ids=data.query_ids, name=data.name)
    return Stream.of(data.document_texts, ids=data.document_ids, name=data.name)
