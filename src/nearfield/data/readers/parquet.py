"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nearfield.data.columns import known
from nearfield.data.readers import Record
from nearfield.data.readers.lines import reading
from nearfield.errors import InputError

_ROWS = 2048  # decoded at a time


def records(path: Path) -> Iterator[Record]:
    """The file's rows with their 1-based numbers; of its columns only those that have a meaning, where there are any."""
    number = 0
    try:
        with reading(path), pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            columns = [name for name in names if known(name)]
            for batch in file.iter_batches(batch_size=_ROWS, columns=columns or names):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except pa.ArrowException as error:
        raise InputError(f"is no Parquet file or is damaged: {error}", path=path) from error
    if not number:
        raise InputError("the file has no rows", path=path)
