"""Columns that hold the ids of other rows, of the same table or of another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import NamedTuple

from nearfield.data.readers.column_names import plain
from nearfield.data.readers.rows import Rows
from nearfield.data.record import Record

_ID = re.compile(r"\S{1,64}")
_REPEATED = 5  # times that each value of a category comes, on average
_WHOLE = re.compile(r"(\d+)\.0+")  # as tables store whole numbers beside missing ones


class Pointer(NamedTuple):
    """A column of `source` whose values are ids in the column `key` of `target`."""

    source: Rows
    column: str
    target: Rows
    key: str


def pointers(tables: Sequence[Rows]) -> list[Pointer]:
    """The columns whose first values all are ids of rows; of those between two tables the one whose
    name says so best, and none where two say it as well, or none does.
    """
    found = list[Pointer]()
    keys = [_keys(target) for target in tables]
    for source in tables:
        for target, ids in zip(tables, keys, strict=True):
            between = list(_between(source, target, ids))
            if source is target:
                found += between
                continue
            told = [_told(each) for each in between]
            best = max(told, default=0)
            if best and told.count(best) == 1:
                found.append(between[told.index(best)])
    return found


def id_in(record: Record, column: str) -> str:
    """The id in a column, "" where it is empty."""
    value = record.values.get(column)
    return plain_id("" if value is None else str(value))


def plain_id(cell: str) -> str:
    """An id as every table has it."""
    cell = cell.strip()
    whole = _WHOLE.fullmatch(cell)
    return whole[1] if whole else cell


def _between(source: Rows, target: Rows, keys: Mapping[str, set[str]]) -> Iterator[Pointer]:
    for key, ids in keys.items():
        for column, cells in source.contents.cells.items():
            if not (source is target and column == key) and _within(cells, ids):
                yield Pointer(source, column, target, key)


def _keys(target: Rows) -> dict[str, set[str]]:
    """The ids in each column of single words that differ in every row."""
    keys = {}
    for name, values in target.contents.cells.items():
        # told by the first rows; only of such a column all are read
        if len(set(values)) == len(values) > 1 and all(map(_ID.fullmatch, values)):
            keys[name] = {id_in(record, name) for record in target}
    return keys


def _within(cells: Sequence[str], ids: set[str]) -> bool:
    """Whether all cells that are not empty are ids. A rating's 1 to 5 are ids of most tables, too,
    but repeat.
    """
    given = list(filter(None, map(plain_id, cells)))
    distinct = set(given)
    return len(distinct) > 1 and len(distinct) * _REPEATED > len(given) and distinct <= ids


def _told(pointer: Pointer) -> int:
    """How well the column's name says that it points there: by the name of the target's file, or of
    its ids; 0 for not at all.
    """
    name = plain(pointer.column)
    file = plain(PurePath(pointer.target.place).name)
    told = 0
    if file[:3] in name:  # docid of documents, quest_id of questions
        told += 2
    if name == plain(pointer.key) and name not in ("id", "_id"):
        told += 1
    return told
