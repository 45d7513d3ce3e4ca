"""A .txt file whose lines are texts: documents, or what is encoded in any role."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nearfield.data.readers.lines import tolerant_lines
from nearfield.data.readers.rows import RowFile
from nearfield.data.record import Record
from nearfield.data.sources.row_source import RowSource
from nearfield.data.sources.source import Kind, name_of
from nearfield.errors import InputError
from nearfield.types.data_options import DataOptions


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
    if isinstance(given, Path) and given.suffix.lower() == ".txt" and given.is_file():
        return RowSource(
            name_of(given), given, [TextLines(given, options)], files=True, field="text"
        )
    return None


LINES = Kind("a .txt file with a text on each line", _recognise)
