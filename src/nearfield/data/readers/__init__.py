"""What is in a file: one reader for each format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nearfield.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nearfield.data.readers.rows import Rows
    from nearfield.types.data_options import DataOptions

FORMATS: Final[Registry[Callable[[Path, DataOptions], Rows]]] = Registry(
    "row format",
    {
        ".jsonl": "nearfield.data.readers.jsonl:JsonLines",
        ".ndjson": "nearfield.data.readers.jsonl:JsonLines",
        ".json": "nearfield.data.readers.jsonl:Json",
        ".csv": "nearfield.data.readers.delimited:Delimited",
        ".tsv": "nearfield.data.readers.delimited:Delimited",
        ".parquet": "nearfield.data.readers.parquet:Parquet",
        ".arrow": "nearfield.data.readers.arrow_file:ArrowFile",
        ".feather": "nearfield.data.readers.arrow_file:ArrowFile",
        ".xlsx": "nearfield.data.readers.workbook:Workbook",
    },
)
"""Formats of files of rows, by the ending of the file's name."""
