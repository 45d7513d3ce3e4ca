"""A source: a .arrows file with `query => positive` on each line."""

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


class ArrowLines(RowFile):
    """Each line as a pair."""

    def tolerant(self, columns: Sequence[str] = ()) -> Iterator[Record | InputError]:
        for number, line in tolerant_lines(self.path):
            if isinstance(line, InputError):
                yield line
                continue
            query, arrow, positive = line.partition(" => ")
            if arrow:
                yield Record({"query": query, "positive": positive}, self.path, number)
            else:
                yield InputError("has no =>", path=self.path, line=number)


def _recognise(given: object, options: DataOptions) -> RowSource | None:
    if isinstance(given, Path) and given.suffix == ".arrows":
        return RowSource(name_of(given), given, [ArrowLines(given)], files=True)
    return None


ARROWS = Kind("a .arrows file", _recognise)
