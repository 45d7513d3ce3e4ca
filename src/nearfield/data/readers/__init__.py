"""What is in a file: one reader for each format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nearfield.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nearfield.data.readers.rows import Rows

FORMATS: Final[Registry[Callable[[Path], Rows]]] = Registry(
    "row format",
    {
        ".jsonl": "nearfield.data.readers.jsonl:JsonLines",
        ".ndjson": "nearfield.data.readers.jsonl:JsonLines",
        ".csv": "nearfield.data.readers.delimited:CommaSeparated",
        ".tsv": "nearfield.data.readers.delimited:TabSeparated",
        ".parquet": "nearfield.data.readers.parquet:Parquet",
    },
)
"""Formats of files of rows, by the ending of the file's name."""
