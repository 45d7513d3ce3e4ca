"""A .txt file whose lines are texts: documents, or what is encoded in any role."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from nearfield.data.readers.delimited import Delimited
from nearfield.data.readers.header import header_at
from nearfield.data.readers.lines import tolerant_lines
from nearfield.data.readers.rows import RowFile
from nearfield.data.record import Record
from nearfield.data.sources.row_source import RowSource
from nearfield.data.sources.source import Kind, name_of
from nearfield.errors import InputError
from nearfield.types.data_options import DataOptions

_TOLD_BY = 20  # lines


class TextLines(RowFile):
    """Each line as a row with one text."""

    def tolerant(self, columns: Sequence[str] = ()) -> Iterator[Record | InputError]:
        """The lines, or what is wrong with each."""
        for number, line in tolerant_lines(self.path, self.encoding()):
            if isinstance(line, InputError):
                yield line
            else:
                yield Record({"text": line}, self.path, number)


def _recognise(given: object, options: DataOptions) -> RowSource | None:
    if not isinstance(given, Path) or given.suffix.lower() != ".txt" or not given.is_file():
        return None
    lines = TextLines(given, options)
    if options.given() or _between_tabs(lines):
        return RowSource(name_of(given), given, [Delimited(given, options)], files=True)
    return RowSource(name_of(given), given, [lines], files=True, field="text")


def _between_tabs(lines: TextLines) -> bool:
    """Whether the lines are a table's, as spreadsheets write: the first holds known names, or the
    first lines have as many tabs each.
    """
    rows = islice(lines.tolerant(), _TOLD_BY)
    first = [str(row.values["text"]) for row in rows if isinstance(row, Record)]
    if not first or "\t" not in first[0]:
        return False
    if header_at([first[0].split("\t")], lines.options) is not None:
        return True
    return len({line.count("\t") for line in first}) == 1


LINES = Kind("a .txt file with a text on each line, or a table between tabs", _recognise, ("file",))
