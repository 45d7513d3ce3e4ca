"""Readers by the end of a file's name, as `module:function`; each gives a file's rows with their
line numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from nearfield.errors import InputError

Record = tuple[int, Mapping[str, Any]]
"""A row by its column names, and its 1-based line (in Parquet: row)."""
TolerantRecord = tuple[int, Mapping[str, Any] | InputError]
"""A row, or what is wrong with it."""

ROW_FORMATS: Final[Mapping[str, str]] = {
    ".jsonl": "nearfield.data.readers.jsonl:tolerant_records",
    ".ndjson": "nearfield.data.readers.jsonl:tolerant_records",
    ".csv": "nearfield.data.readers.delimited:tolerant_comma_records",
    ".tsv": "nearfield.data.readers.delimited:tolerant_tab_records",
    ".parquet": "nearfield.data.readers.parquet:tolerant_records",
}


def records(path: Path) -> Iterator[Record]:
    """The rows of the file at `path`, whose name ends in one of ROW_FORMATS, one at a time.

    Raises InputError that names the first line that is no row.
    """
    from nearfield.data.readers.lines import strict
    from nearfield.data.readers.tolerant import tolerant_records

    return strict(tolerant_records(path))
