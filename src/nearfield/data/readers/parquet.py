"""Parquet files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nearfield.data.columns import check_names, known, shortened
from nearfield.data.readers import Record
from nearfield.data.readers.lines import reading
from nearfield.errors import InputError, first_line, nearest
from nearfield.store.regular import open_regular

_ROWS = 512  # decoded at a time
# bytes of a column read at a time; Arrow's own reading ahead keeps whatever it has read of the file
# until its end
_BUFFER = 1 << 20


def tolerant_records(path: Path, *, columns: Sequence[str] = ()) -> Iterator[Record]:
    """The file's rows with their 1-based numbers; of its columns those named, else those that have
    a meaning, else all.

    No row of Parquet is wrong by itself. Raises InputError where the file is none, lacks a column,
    or has no rows.
    """
    number = 0
    with _opened(path) as file:
        names = file.schema_arrow.names
        check_names(names, path)
        lacking = next((name for name in columns if name not in names), None)
        if lacking is not None:
            raise InputError(
                f"has no column {lacking!r}; it has {shortened(names)}.{nearest(lacking, names)}",
                path=path,
            )
        chosen = columns or [name for name in names if known(name)] or names
        for batch in file.iter_batches(batch_size=_ROWS, columns=chosen):
            for row in _rows(batch, path, number):
                number += 1
                yield number, row
    if not number:
        raise InputError("the file has no rows", path=path)


def _rows(batch: pa.RecordBatch, path: Path, before: int) -> list[dict[str, Any]]:
    """The batch's rows. Raises InputError that names the first row with a value that Python has
    none for: a text that is no UTF-8, a date beyond the year 9999.
    """
    try:
        return list(batch.to_pylist())
    except (ValueError, OverflowError) as error:
        for at in range(len(batch)):
            try:
                batch.slice(at, 1).to_pylist()
            except (ValueError, OverflowError) as wrong:
                raise InputError(
                    f"row {before + at + 1:,} could not be read: {first_line(wrong)}", path=path
                ) from error
        raise


def names(path: Path) -> list[str]:
    """The names of the file's columns."""
    with _opened(path) as file:
        return list(file.schema_arrow.names)


def count(path: Path) -> int:
    """The number of the file's rows, by its footer."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """The file, open. Raises InputError for whatever of it cannot be read."""
    try:
        with (
            reading(path),
            open_regular(path) as raw,
            pq.ParquetFile(raw, buffer_size=_BUFFER, pre_buffer=False) as file,
        ):
            yield file
    except (pa.ArrowException, ValueError, OverflowError, MemoryError) as error:
        raise InputError(
            f"is no Parquet file or is damaged: {first_line(error)}", path=path
        ) from error
