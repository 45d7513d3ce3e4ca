"""Readers by the end of a file's name, as `module:function`; each gives a file's rows with their line numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

Record = tuple[int, Mapping[str, Any]]
"""A row by its column names, and its 1-based line (in Parquet: row)."""

ROW_FORMATS: Final[Mapping[str, str]] = {
    ".jsonl": "nearfield.data.readers.jsonl:records",
    ".ndjson": "nearfield.data.readers.jsonl:records",
    ".csv": "nearfield.data.readers.delimited:comma_records",
    ".tsv": "nearfield.data.readers.delimited:tab_records",
    ".parquet": "nearfield.data.readers.parquet:records",
}


def records(path: Path) -> Iterator[Record]:
    """The rows of the file at `path`, whose name ends in one of ROW_FORMATS, one at a time."""
    module, function = ROW_FORMATS[path.suffix.lower()].split(":")
    reader: Callable[[Path], Iterator[Record]] = getattr(import_module(module), function)
    return reader(path)
