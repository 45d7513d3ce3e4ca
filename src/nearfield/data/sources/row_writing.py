"""Rows written as a collection, or as pairs."""

from __future__ import annotations

import contextlib
import math
import numbers
import re
from collections.abc import Sequence
from typing import Final

from nearfield.data.collection import ALL
from nearfield.data.columns import Columns, shortened
from nearfield.data.printed_list import printed_list
from nearfield.data.readers.delimited import SEPARATORS
from nearfield.data.readers.figures import document_text
from nearfield.data.readers.rows import Rows, looks_printed
from nearfield.data.record import Record, relevance_of
from nearfield.data.writer import CollectionWriter, PairsWriter, made_id
from nearfield.errors import InputError

# a decimal comma; 1,234 may be a thousand
_COMMA = re.compile(r"[+-]?(0?,\d+|\d+,(?!\d{3}$)\d+)")
_ANY_COMMA = re.compile(r"[+-]?\d*,\d+")
_FLAGS: Final = {"true": 1.0, "false": 0.0}


def write_collection(tables: Sequence[Rows], writer: CollectionWriter) -> bool:
    """Write the rows of `tables` to `writer`; True where they were documents only.

    A text that comes twice is one document (or query), with an id made of it. A positive is judged
    1, or by a `relevance` column, and a negative 0.
    """
    collected = _Collected(writer)
    documents_only = True
    for rows in tables:
        columns = rows.layout
        if columns.score is not None:
            raise InputError(
                f"has scores (column {columns.score!r}), so that its rows are pairs; compare "
                f"models on them (nearfield evaluate MODEL --on {rows.place}), guard a tune with "
                f"them (nearfield tune --guard {rows.place}), or take the column out to make a "
                "collection of it",
                path=rows.place,
            )
        if columns.paired:
            documents_only = False
            for record in rows:
                collected.pair(record, columns, rows.split or ALL)
        else:
            for record in rows:
                collected.document(record, columns)
    return documents_only


def write_pairs(rows: Rows, writer: PairsWriter) -> None:
    """Write the rows to `writer`; a row with several positives is as many pairs. Where a column
    says which documents are relevant, those that are not are negatives of each of their query's
    pairs.
    """
    columns = rows.layout
    if columns.query is None:
        raise InputError("holds documents; pairs need a query and a positive", path=rows.place)
    if columns.relevance is not None:
        _write_judged(rows, writer, columns)
        return
    commas = columns.score is not None and _decimal_commas(rows, columns.score)
    for record in rows:
        query = record.text(columns.query)
        score = None
        if columns.score is not None:
            score = _score(record, columns.score, commas=commas)
        negatives = _negatives(record, columns)
        for positive in _positives(record, columns):
            writer.pair(query, positive, negatives=negatives, score=score)


def _write_judged(rows: Rows, writer: PairsWriter, columns: Columns) -> None:
    """Write the pairs of rows that are judged, by query; one without a relevant document has no
    pair.
    """
    found: dict[str, tuple[list[str], list[str]]] = {}
    for record in rows:
        positives, negatives = found.setdefault(record.text(columns.query or ""), ([], []))
        value = record.values.get(columns.relevance or "")
        relevant = relevance_of(value, record.place, record.line) > 0
        judged = positives if relevant else negatives
        judged += _positives(record, columns)
        negatives += _negatives(record, columns)
    for query, (positives, negatives) in found.items():
        for positive in dict.fromkeys(positives):
            writer.pair(query, positive, negatives=list(dict.fromkeys(negatives)))


class _Collected:
    """Which documents and queries were written: 8 bytes of each text's hash, not the texts."""

    def __init__(self, writer: CollectionWriter) -> None:
        self._writer = writer
        # ids as numbers, which take half the memory of their 16 digits
        self._documents: set[int] = set()
        self._queries: set[int] = set()
        self._judged: set[int] = set()

    def document(self, record: Record, columns: Columns) -> None:
        text = document_text(record, columns.text or "text")
        title = record.joined(columns.title)
        group = record.label(columns.group)
        if columns.id:
            self._writer.document(record.id(columns.id), text, title=title, group=group)
        else:
            self._add_document(text, group, title)

    def pair(self, record: Record, columns: Columns, split: str) -> None:
        query = record.text(columns.query or "query")
        group = record.label(columns.group)
        split = record.split(columns.split) or split
        relevance = 1
        if columns.relevance is not None:
            value = record.values.get(columns.relevance)
            relevance = relevance_of(value, record.place, record.line)
        key = made_id(query)
        if _is_new(key, self._queries):
            self._writer.query(key, query, group=group)
        for positive in _positives(record, columns):
            self._judge(key, self._add_document(positive, group), relevance, split)
        for negative in _negatives(record, columns):
            self._judge(key, self._add_document(negative, group), 0, split)

    def _judge(self, query: str, document: str, relevance: int, split: str) -> None:
        """A judgement, once: rows that are there twice are one."""
        # 64 bits: two of a hundred million collide with a probability of 0.0003
        judged = hash((query, document, relevance, split))
        if judged not in self._judged:
            self._judged.add(judged)
            self._writer.judgement(query, document, relevance, split)

    def _add_document(self, text: str, group: str, title: str = "") -> str:
        key = made_id(f"{title}\n{text}" if title else text)
        if _is_new(key, self._documents):
            self._writer.document(key, text, title=title, group=group)
        return key


def _is_new(key: str, seen: set[int]) -> bool:
    """Whether the id was not `seen`, which it is from now on."""
    number = int(key, 16)
    if number in seen:
        return False
    seen.add(number)
    return True


def _positives(record: Record, columns: Columns) -> list[str]:
    column = columns.positive or "positive"
    value = record.values.get(column)
    printed = column in columns.printed and looks_printed(value)
    if printed or isinstance(value, list | tuple):
        return _several(record, column, columns)
    return [record.text(column)]


def _negatives(record: Record, columns: Columns) -> list[str]:
    found: list[str] = []
    for column in columns.negatives:
        found += _several(record, column, columns)
    return found


def _several(record: Record, column: str, columns: Columns) -> list[str]:
    """The texts in a column that may hold a list, also one that was printed into the cell."""
    value = record.values.get(column)
    if column not in columns.printed or not isinstance(value, str):
        return record.texts(column)
    found = printed_list(value)
    if found is not None:
        return [record.checked(text, column) for text in found]
    if not looks_printed(value):
        return record.texts(column)
    raise record.error(
        f"{column!r} is {shortened([value])!r}, a printed list whose items cannot be told apart; "
        "wanted them in quotes, as in ['a', 'b'], or a list in a JSON lines file, where a text in "
        "brackets can stand as well"
    )


def _decimal_commas(rows: Rows, column: str) -> bool:
    """Whether the commas of a column are decimal ones, also where three digits follow: another cell
    says so, or the separator, which programs change where a comma is a decimal one.
    """
    cells = rows.contents.cells.get(column, ())
    semicolons = rows.read_as().get("separator") == SEPARATORS[";"]
    return semicolons or any(_COMMA.fullmatch(cell) for cell in cells)


def _score(record: Record, column: str, *, commas: bool) -> float:
    value = record.values.get(column)
    number = value
    if isinstance(value, str):
        number = _FLAGS.get(value.strip().lower(), value)
        pattern = _ANY_COMMA if commas else _COMMA
        if pattern.fullmatch(value.strip()):
            number = value.replace(",", ".")
    score = math.nan
    # Python takes 1_000 as a number, which in a table is something else
    if isinstance(number, numbers.Real) or (isinstance(number, str) and "_" not in number):
        with contextlib.suppress(ValueError, OverflowError):
            score = float(number)
    if math.isfinite(score):
        return score
    wanted = "a finite number as score"
    if isinstance(value, str) and "," in value:
        wanted += ", with a point and not a comma"
    raise record.error(f"{column!r} is {shortened([repr(value)])}; wanted {wanted}")
