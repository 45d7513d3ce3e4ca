"""Columns that hold the ids of other rows, of the same table or of another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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
    """The columns whose first values all are ids of rows; of several that point at one table those
    whose names say so best.
    """
    found = dict[tuple[int, int, str], tuple[int, Pointer]]()
    first = [rows.contents.cells for rows in tables]
    for to, target in enumerate(tables):
        for key in _keys(first[to]):
            ids = {id_in(record, key) for record in target}
            for at, source in enumerate(tables):
                for column, cells in first[at].items():
                    if (at, column) == (to, key) or not _within(cells, ids):
                        continue
                    told = _told(column, target, key)
                    between = at, to, column if at == to else ""
                    if told > found.get(between, (-1,))[0]:
                        found[between] = told, Pointer(source, column, target, key)
    return [pointer for _, pointer in found.values()]


def id_in(record: Record, column: str) -> str:
    """The id in a column, "" where it is empty."""
    value = record.values.get(column)
    return plain_id("" if value is None else str(value))


def plain_id(cell: str) -> str:
    """An id as every table has it."""
    whole = _WHOLE.fullmatch(cell.strip())
    return whole[1] if whole else cell.strip()


def _keys(cells: dict[str, list[str]]) -> Iterator[str]:
    """The columns of single words that differ in every row."""
    for name, values in cells.items():
        if len(set(values)) == len(values) > 1 and all(map(_ID.fullmatch, values)):
            yield name


def _within(cells: Sequence[str], ids: set[str]) -> bool:
    given = [cell for cell in map(plain_id, cells) if cell]
    distinct = set(given)
    return len(distinct) > 1 and len(distinct) * _REPEATED > len(given) and distinct <= ids


def _told(column: str, target: Rows, key: str) -> int:
    """How well a column's name says that it points there: 0 for not at all."""
    name, stem = plain(column), plain(str(target.place).replace("\\", "/").rpartition("/")[2])
    if name == plain(key) and name != "id":
        return 3
    return 2 * (stem[:3] in name) + name.endswith(("id", "key", "no", "nr"))
