"""Rows of a table as a collection, or as pairs."""

from __future__ import annotations

import hashlib
import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nearfield.data.collection import ALL
from nearfield.data.columns import (
    MISSING,
    Columns,
    Unused,
    checked,
    columns_of,
    id_of,
    shortened,
    text_of,
    texts_of,
)
from nearfield.data.printed_list import printed_list
from nearfield.data.readers import Record, records
from nearfield.data.writer import CollectionWriter, PairsWriter
from nearfield.errors import InputError

log = logging.getLogger(__name__)
SPLIT_NAMES = {
    "train": "train",
    "dev": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
}
"""File names that are splits, and the splits that they are."""
_PRINTED = re.compile(r"(?s)\s*(\[.*\]|\{.*\}|array\(\[.*\))\s*$")
_WHOLE = re.compile(r"[+-]?[0-9]{1,10}(\.0+)?")
_COMMA = re.compile(r"[+-]?[0-9.]*,[0-9]+")
_FLAGS = {"true": 1.0, "false": 0.0}


def layout(path: Path) -> Columns:
    """What the columns of the file at `path` mean, by its first row, and which hold lists that were
    printed.
    """
    columns = columns_of(_first(path), path)
    texts = (
        {columns.positive, *columns.negatives} - {None, *columns.printed}
        if columns.paired
        else set()
    )
    return replace(
        columns, printed=columns.printed | _printed(path, {name for name in texts if name})
    )


def _printed(path: Path, names: set[str]) -> set[str]:
    """Those of the columns in which every cell that is not empty looks like a printed list, read no
    further than it takes.
    """
    seen = set[str]()
    for _, row in records(path):
        full = {name for name in names if row.get(name) not in (None, "")}
        names = names - {name for name in full if not _looks_printed(row[name])}
        if not names:
            break
        seen |= full
    return names & seen


def _looks_printed(cell: object) -> bool:
    return isinstance(cell, str) and bool(_PRINTED.match(cell))


def unused_columns(path: Path) -> Unused | None:
    """The columns of the file at `path` that could be of a pair and are not used, which is said,
    too; None where there are none.
    """
    names = _first(path)
    columns = columns_of(names, path)
    if not columns.unused:
        return None
    pair = f"{columns.query!r} is the query and {columns.positive!r} the positive"
    found = Unused(
        str(path),
        pair if columns.paired else f"{columns.text!r} is the document",
        columns.unused,
        len(names),
    )
    log.info(f"{path}: {found}")
    return found


def write_collection(files: Sequence[Path], writer: CollectionWriter) -> bool:
    """Write the rows of `files` to `writer`; True where they were documents only.

    A text that comes twice is one document (or query); its id is 16 digits of its SHA-256, so that
    neither the order of rows nor of files matters. A positive is judged 1, or by a `relevance`
    column, and a negative 0.
    """
    collected = _Collected(writer)
    documents_only = True
    for path in files:
        columns = layout(path)
        if columns.score is not None:
            scored = f"has scores (column {columns.score!r}), so that its rows are pairs"
            uses = (
                f"compare models on them (nearfield evaluate MODEL --on {path}), guard a tune "
                f"with them (nearfield tune --guard {path})"
            )
            raise InputError(
                f"{scored}; {uses}, or take the column out to make a collection of it", path=path
            )
        documents_only = documents_only and not columns.paired
        for line, row in records(path):
            (collected.pair if columns.paired else collected.document)(row, columns, path, line)
    return documents_only


def write_pairs(path: Path, writer: PairsWriter) -> None:
    """Write the rows of the file at `path` to `writer`; a row with several positives is as many
    pairs.
    """
    columns = layout(path)
    if columns.query is None or columns.positive is None:
        raise InputError("holds documents; pairs need a query and a positive", path=path)
    for line, row in records(path):
        query = text_of(row, columns.query, path, line)
        score = None if columns.score is None else _score(row, columns.score, path, line)
        negatives = [
            text
            for column in columns.negatives
            for text in _several(row, column, columns, path, line)
        ]
        for positive in _positives(row, columns, path, line):
            writer.pair(query, positive, negatives=negatives, score=score)


class _Collected:
    """Which documents and queries were written: 8 bytes of each text's hash, not the texts."""

    def __init__(self, writer: CollectionWriter) -> None:
        self._writer = writer
        self._documents: set[int] = set()
        self._queries: set[int] = set()

    def document(self, row: Mapping[str, Any], columns: Columns, path: Path, line: int) -> None:
        text = text_of(row, columns.text or "text", path, line)
        title = "".join(texts_of(row, columns.title, path, line)) if columns.title else ""
        group = _optional(row, columns.group, path, line)
        if columns.id:
            self._writer.document(
                id_of(row, columns.id, path, line), text, title=title, group=group
            )
        else:
            self._add_document(text, group, title)

    def pair(self, row: Mapping[str, Any], columns: Columns, path: Path, line: int) -> None:
        query = text_of(row, columns.query or "query", path, line)
        group = _optional(row, columns.group, path, line)
        split = _optional(row, columns.split, path, line) or SPLIT_NAMES.get(path.stem.lower(), ALL)
        relevance = (
            1 if columns.relevance is None else relevance_of(row.get(columns.relevance), path, line)
        )
        key, number = _key(query)
        if number not in self._queries:
            self._queries.add(number)
            self._writer.query(key, query, group=group)
        for positive in _positives(row, columns, path, line):
            self._writer.judgement(key, self._add_document(positive, group), relevance, split)
        for column in columns.negatives:
            for negative in _several(row, column, columns, path, line):
                self._writer.judgement(key, self._add_document(negative, group), 0, split)

    def _add_document(self, text: str, group: str, title: str = "") -> str:
        key, number = _key(f"{title}\n{text}" if title else text)
        if number not in self._documents:
            self._documents.add(number)
            self._writer.document(key, text, title=title, group=group)
        return key


def relevance_of(value: object, path: Path, line: int) -> int:
    """`value` as a relevance. Raises InputError unless it is a whole number that fits into 32 bits;
    1.0 is one, as tables store it.
    """
    number = value
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        number = int(value.strip().partition(".")[0])
    if isinstance(value, float) and value.is_integer():
        number = int(value)
    if isinstance(number, int) and not isinstance(number, bool) and -(2**31) <= number < 2**31:
        return number
    got = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:57]}..."
    raise InputError(
        f"relevance is {got}; wanted an integer, above 0 where the document answers the query",
        path=path,
        line=line,
    )


def _key(text: str) -> tuple[str, int]:
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return digest, int(digest, 16)


def _first(path: Path) -> Mapping[str, Any]:
    rows: Iterator[Record] = records(path)
    for _, row in rows:
        return row
    raise InputError("the file has no rows", path=path)


def _positives(row: Mapping[str, Any], columns: Columns, path: Path, line: int) -> list[str]:
    column = columns.positive or "positive"
    many = isinstance(row.get(column), list) or (
        column in columns.printed and _looks_printed(row.get(column))
    )
    return (
        _several(row, column, columns, path, line) if many else [text_of(row, column, path, line)]
    )


def _several(
    row: Mapping[str, Any], column: str, columns: Columns, path: Path, line: int
) -> list[str]:
    """The texts in a column that may hold a list, also one that was printed into the cell."""
    value = row.get(column)
    if column not in columns.printed or not isinstance(value, str):
        return texts_of(row, column, path, line)
    found = printed_list(value)
    if found is not None:
        return [checked(text, column, path, line) for text in found]
    if not _looks_printed(value):
        return texts_of(row, column, path, line)
    message = (
        f"{column!r} is {shortened([value])!r}, a printed list whose items cannot be told apart"
    )
    wanted = (
        "wanted them in quotes, as in ['a', 'b'], or a list in a JSON lines file, where a "
        "text in brackets can stand as well"
    )
    raise InputError(f"{message}; {wanted}", path=path, line=line)


def _optional(row: Mapping[str, Any], column: str | None, path: Path, line: int) -> str:
    """The group or split that `column` names, "" where none is. Raises InputError for a printed
    missing value, which would be one.
    """
    found = "" if column is None else "".join(texts_of(row, column, path, line)[:1]).strip()
    if found.lower() in MISSING:
        raise InputError(
            f"{column!r} is {found!r}, as a missing value is printed; leave the cell empty",
            path=path,
            line=line,
        )
    return found


def _score(row: Mapping[str, Any], column: str, path: Path, line: int) -> float:
    value = row.get(column)
    if isinstance(value, str) and value.strip().lower() in _FLAGS:
        value = _FLAGS[value.strip().lower()]
    try:
        plain = isinstance(value, int | float) or (isinstance(value, str) and "_" not in value)
        score = float(value) if plain else math.nan  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        score = math.nan
    if not math.isfinite(score):
        point = (
            ", with a point and not a comma"
            if isinstance(value, str) and _COMMA.fullmatch(value.strip())
            else ""
        )
        got = shortened([repr(value)])
        raise InputError(
            f"{column!r} is {got}; wanted a finite number as score{point}", path=path, line=line
        )
    return score
