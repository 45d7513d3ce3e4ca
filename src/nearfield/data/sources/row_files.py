"""Files of rows: one, a folder of files called train, dev, test, a data set that Hugging Face
datasets saved, or one of a hub.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nearfield.data.readers import FORMATS
from nearfield.data.readers.arrow_file import STATE, ArrowFile
from nearfield.data.readers.encoded import PACKED
from nearfield.data.readers.lines import reading
from nearfield.data.readers.rows import Rows
from nearfield.data.record import SPLIT_NAMES
from nearfield.data.sources.hub import SCHEME, hub_files, split_in
from nearfield.data.sources.row_source import RowSource
from nearfield.data.sources.source import Kind, name_of
from nearfield.types.data_options import NONE, DataOptions


def _recognise(given: object, options: DataOptions) -> RowSource | None:
    if isinstance(given, str) and given.startswith(SCHEME):
        tables = tables_of(hub_files(given), options)
        for rows in tables:
            rows.split = split_in(Path(rows.place))
        return RowSource(given.removeprefix(SCHEME).replace("/", "-"), given, tables, files=True)
    if not isinstance(given, Path):
        return None
    files = [given]
    # what `datasets` saved is one table, whatever the files in its folder are called
    if given.is_dir() and not (given / STATE).is_file():
        with reading(given):
            files = sorted(
                file
                for file in given.iterdir()
                if file.name.partition(".")[0].lower() in SPLIT_NAMES
            )
    tables = tables_of(files, options)
    if tables:
        return RowSource(name_of(given), given, tables, files=True)
    return None


def rows_of(path: Path, options: DataOptions = NONE) -> Rows | None:
    """The rows of a file, packed or not, by its ending; None where no format has it."""
    if (path / STATE).is_file():
        return ArrowFile(path, options)
    ending = path.suffix.lower()
    if ending in PACKED:  # of data.csv.gz it is .csv
        ending = Path(path.stem).suffix.lower()
    if ending in FORMATS:
        return FORMATS[ending](path, options)
    return None


def tables_of(files: Iterable[Path], options: DataOptions = NONE) -> list[Rows]:
    """The rows of those of the files that have a format's ending."""
    found = (rows_of(file, options) for file in files)
    return [rows for rows in found if rows is not None]


ROW_FILES = Kind(
    f"a file, or a folder of files called train, dev, test, ending in {', '.join(FORMATS)} (also "
    f"with {' or '.join(PACKED)} behind), or {SCHEME}owner/name[/config][:split]",
    _recognise,
    ("file", "folder", "object"),
)
