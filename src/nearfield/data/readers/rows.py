"""Rows with named columns, wherever they come from."""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Final

from nearfield.data.columns import Columns, Unused, columns_of
from nearfield.data.readers.lines import lines_in
from nearfield.data.record import Place, Record
from nearfield.errors import InputError

log = logging.getLogger(__name__)
SPLIT_NAMES: Final = {
    "train": "train",
    "dev": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
}
"""Names of files that are splits, and the splits that they are."""
_PRINTED = re.compile(r"(?s)\s*(\[.*\]|\{.*\}|array\(\[.*\))\s*$")


class Rows(ABC):
    """Rows that can be read as often as they are asked for: a file, or a table in memory.

    `place` is what errors call them; `split` is the split that their name says, "" for none.
    """

    def __init__(self, place: Place, split: str | None = None) -> None:
        self.place = place
        if split is None:
            split = SPLIT_NAMES.get(PurePath(place).stem.lower(), "")
        self.split = split

    @abstractmethod
    def tolerant(self, columns: Sequence[str] = ()) -> Iterator[Record | InputError]:
        """Each row, or what is wrong with it, so that the others can be read.

        Only `columns` have to be there, where any are named. Raises InputError for what concerns
        the whole: it is empty or damaged, or lacks a header.
        """

    @abstractmethod
    def count(self) -> int | None:
        """How many rows there are before they are read, about; None where counting takes long."""

    def __iter__(self) -> Iterator[Record]:
        """The rows. Raises InputError that names the first line that is not a row."""
        return strict(self.tolerant())

    def names(self) -> list[str]:
        """The columns of the first row that can be read. Raises InputError where there is none."""
        first: InputError | None = None
        for record in self.tolerant():
            if isinstance(record, Record):
                return list(record.values)
            first = first or record
        raise first or self.without_rows()

    def without_rows(self) -> InputError:
        """The error for a source that is empty."""
        return InputError("has no rows", path=self.place)


class RowFile(Rows):
    """Rows in a file, which has a line for each, about."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def count(self) -> int | None:
        """The number of lines, blank ones and that of a header too."""
        return lines_in(self.path)


def strict(rows: Iterable[Record | InputError]) -> Iterator[Record]:
    """The same rows; raises the first error among them."""
    for row in rows:
        if isinstance(row, InputError):
            raise row
        yield row


def layout(rows: Rows) -> Columns:
    """What the columns mean, by the first row, and which hold lists that were printed."""
    columns = columns_of(rows.names(), rows.place)
    texts = set[str]()
    if columns.paired:
        texts = {name for name in (columns.positive, *columns.negatives) if name}
    return replace(columns, printed=columns.printed | _printed(rows, texts - columns.printed))


def unused_columns(rows: Rows) -> Unused | None:
    """The columns that could be of a pair and are not used, which the log says; None where there
    are none.
    """
    names = rows.names()
    columns = columns_of(names, rows.place)
    if not columns.unused:
        return None
    used = f"{columns.text!r} is the document"
    if columns.paired:
        used = f"{columns.query!r} is the query and {columns.positive!r} the positive"
    found = Unused(str(rows.place), used, columns.unused, len(names))
    log.info(f"{rows.place}: {found}")
    return found


def looks_printed(cell: object) -> bool:
    """Whether a cell looks like a list that a program printed into it."""
    return isinstance(cell, str) and bool(_PRINTED.match(cell))


def _printed(rows: Rows, names: set[str]) -> set[str]:
    """Those of the columns in which every cell that is not empty looks like a printed list, read no
    further than it takes.
    """
    seen = set[str]()
    for record in rows:
        full = {name for name in names if record.values.get(name) not in (None, "")}
        names = names - {name for name in full if not looks_printed(record.values[name])}
        if not names:
            break
        seen |= full
    return names & seen
