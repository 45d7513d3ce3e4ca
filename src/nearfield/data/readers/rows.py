"""Rows with named columns, wherever they come from."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePath
from typing import ClassVar, NamedTuple

from nearfield.data.columns import Columns, UnknownColumnsError, Unused, columns_of
from nearfield.data.readers.contents import PROFILED, Contents, proposed
from nearfield.data.readers.encoded import checked_encoding, detected
from nearfield.data.readers.lines import lines_in, reading
from nearfield.data.record import SPLIT_NAMES, Place, Record
from nearfield.errors import InputError
from nearfield.types.data_options import NONE, DataOptions
from nearfield.types.figures import COLUMN

log = logging.getLogger(__name__)
_PRINTED = re.compile(r"(?s)\s*(\[.*\]|\{.*\}|array\(\[.*\))\s*$")


class Rows(ABC):
    """Rows that can be read as often as they are asked for: a file, or a table in memory.

    `place` is what errors call them; `split` is the split that their name says, "" for none.
    """

    def __init__(
        self, place: Place, split: str | None = None, *, options: DataOptions = NONE
    ) -> None:
        self.place = place
        self.options = options
        if split is None:
            split = SPLIT_NAMES.get(PurePath(place).name.partition(".")[0].lower(), "")
        self.split = split

    def files(self) -> list[Path]:
        """The files that the rows are in; none of a table in memory."""
        return []

    def read_as(self) -> dict[str, str]:
        """What was detected or stated of how the rows are read, in words."""
        return {}

    @cached_property
    def layout(self) -> Columns:
        """What the columns mean: by what was stated, by their names where the contents agree, and
        which hold lists that were printed. Raises InputError that proposes what to state, by the
        contents, where that is not certain.
        """
        names = self.names()
        contents = self.contents
        # Columns that are called a query or a document and hold no texts. Without them the names
        # are asked again, as another column may then be the one.
        textless = set[str]()
        while True:
            try:
                columns = columns_of(names, self.place, self.options, textless=textless)
            except UnknownColumnsError as error:
                doubtful = self._doubtful(error.known.values())
                if not doubtful:
                    raise proposed(error, contents, textless) from None
            else:
                doubtful = self._doubtful((columns.query, columns.positive))
                if not doubtful:
                    break
            textless |= doubtful
        # a document without texts was stated: such rows point at others, which a score is not of
        if self.options.score is None and contents.textless({columns.positive or ""}):
            columns = replace(columns, score=None)
        columns = contents.completed(columns)
        if not columns.paired:
            return columns
        lists = {columns.positive or "", *columns.negatives} - columns.printed
        return replace(columns, printed=columns.printed | _printed(self, lists))

    def _doubtful(self, names: Iterable[str | None]) -> set[str]:
        """Those of the columns that were taken by their names and hold no texts."""
        stated = self.options.columns().values()
        return self.contents.textless({name for name in names if name and name not in stated})

    def used(self) -> list[str]:
        """The columns that have a meaning; none as long as that is not known."""
        # where `cached_property` keeps it: asking for it here would go in a circle
        layout: Columns | None = vars(self).get("layout")
        return [] if layout is None else layout.names()

    @cached_property
    def contents(self) -> Contents:
        """The first rows, without what cannot be read of them."""
        rows = list[Record]()
        with contextlib.suppress(InputError):
            for row in islice(self.tolerant(self.names()), PROFILED):
                if isinstance(row, Record):
                    rows.append(row)
        return Contents(rows)

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
    """Rows in a file, which has a line for each, about.

    `fallback` is whether a file that is not UTF-8 may be cp1252.
    """

    fallback: ClassVar[bool] = False

    def __init__(self, path: Path, options: DataOptions = NONE) -> None:
        super().__init__(path, options=options)
        self.path = path

    def files(self) -> list[Path]:
        """The file."""
        return [self.path]

    def encoding(self) -> str:
        """The encoding of a text file: as it was stated, else as it is detected."""
        stated = self.options.encoding
        if stated is not None:
            return checked_encoding(stated, self.path)
        return self._detected

    @cached_property
    def _detected(self) -> str:
        with reading(self.path):
            return detected(self.path, fallback=self.fallback)

    def count(self) -> int | None:
        """The number of lines, blank ones and that of a header too."""
        return lines_in(self.path)


def strict(rows: Iterable[Record | InputError]) -> Iterator[Record]:
    """The same rows; raises the first error among them."""
    for row in rows:
        if isinstance(row, InputError):
            raise row
        yield row


class Table(NamedTuple):
    """What was read of a table: how, each column's meaning ("" for none), rows, and those of them
    that repeat another.
    """

    place: Place
    read_as: dict[str, str]
    columns: dict[str, str]
    rows: int
    repeated: int


def described(rows: Rows) -> Table:
    """What a table was taken for; all of it is read."""
    meanings = rows.layout.meanings()
    if not rows.layout.paired:
        meanings |= {COLUMN: COLUMN}
    columns = {name: meanings.get(name, "") for name in rows.names() if name}
    seen = set[bytes]()  # 16 bytes of each row's hash, not the rows
    count = 0
    for record in rows:
        count += 1
        written = repr(list(record.values.items())).encode("utf-8", "replace")
        seen.add(hashlib.sha256(written).digest()[:16])
    return Table(rows.place, rows.read_as(), columns, count, count - len(seen))


def unused_columns(rows: Rows) -> Unused | None:
    """The columns that could be of a pair and are not used, which are logged; None where there are
    none.
    """
    names = rows.names()
    columns = rows.layout
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
    left = set(names)
    seen = set[str]()
    for record in rows:
        for name in names:
            cell = record.values.get(name)
            if cell is None or cell == "":
                continue
            seen.add(name)
            if not looks_printed(cell):
                left.discard(name)
        if not left:
            break
    return left & seen
