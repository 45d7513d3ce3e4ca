"""Files of rows: one, or a folder of files called train, dev, test."""

from __future__ import annotations

from pathlib import Path

from nearfield.data.readers import FORMATS
from nearfield.data.readers.lines import reading
from nearfield.data.readers.rows import SPLIT_NAMES, Rows
from nearfield.data.sources.row_source import RowSource
from nearfield.data.sources.source import Kind, name_of


def _recognise(given: object) -> RowSource | None:
    if not isinstance(given, Path):
        return None
    files = [given]
    if given.is_dir():
        with reading(given):
            files = sorted(file for file in given.iterdir() if file.stem.lower() in SPLIT_NAMES)
    tables = [rows for rows in map(rows_of, files) if rows is not None]
    if not tables:
        return None
    return RowSource(name_of(given), given, tables, files=True)


def rows_of(path: Path) -> Rows | None:
    """The rows of a file, by its ending; None where no format has it."""
    ending = path.suffix.lower()
    return FORMATS[ending](path) if ending in FORMATS else None


ROW_FILES = Kind(
    f"a file or train/dev/test files ending in {', '.join(FORMATS)}",
    _recognise,
)
