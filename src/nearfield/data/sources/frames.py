"""Tables in memory, of any library that gives Arrow: pandas, polars, pyarrow, Hugging Face
datasets.

None of them is imported for it: most give Arrow's PyCapsule stream, the others are told by the
module of their type.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from nearfield.data.readers.arrow_rows import ROWS_AT_A_TIME, check_columns, column_names, numbered
from nearfield.data.readers.rows import Rows
from nearfield.data.record import Place, Record
from nearfield.errors import InputError, first_line
from nearfield.types.data_options import DataOptions


class FrameRows(Rows):
    """A table in memory; a row's line is its number."""

    def __init__(self, table: pa.Table, place: Place, split: str, options: DataOptions) -> None:
        super().__init__(place, split, options=options)
        self._table = table

    def tolerant(self, columns: Sequence[str] = ()) -> Iterator[Record]:
        """The rows; of their columns those named, else those that are used, else all."""
        chosen = check_columns(self._table.column_names, columns, self)
        batches = self._table.select(list(chosen)).to_batches(max_chunksize=ROWS_AT_A_TIME)
        return numbered(batches, self)

    def names(self) -> list[str]:
        """The names of all columns."""
        return column_names(self._table.schema, self)

    def count(self) -> int:
        """The number of rows."""
        return len(self._table)


def frame_rows(given: Any, split: str, options: DataOptions) -> FrameRows | None:
    """The rows of a table, None for anything else. Raises InputError where its library cannot make
    Arrow of it.
    """
    place = f"<{type(given).__name__}>"
    try:
        table = _table(given)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise InputError(f"is not a table of rows: {first_line(error)}", path=place) from error
    if table is None:
        return None
    return FrameRows(table, place, split, options)


def _table(given: Any) -> pa.Table | None:
    library = type(given).__module__.partition(".")[0]
    # the table behind a data set has all rows, also those that were filtered out of it
    if library == "datasets" and hasattr(given, "with_format"):
        return given.with_format("arrow")[:]
    # pandas gives the stream from 2.2 on; pyarrow reads older frames by itself
    if library == "pandas" or hasattr(given, "__arrow_c_stream__"):
        return pa.table(given)
    if hasattr(given, "to_arrow"):  # older polars
        return given.to_arrow()
    return None
