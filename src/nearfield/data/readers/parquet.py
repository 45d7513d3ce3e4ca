"""Parquet files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from nearfield.data.readers.arrow_rows import ROWS_AT_A_TIME, check_columns, column_names, numbered
from nearfield.data.readers.lines import reading
from nearfield.data.readers.rows import RowFile
from nearfield.data.record import Record
from nearfield.errors import InputError, first_line
from nearfield.store.regular import open_regular

# bytes of a column read at a time; Arrow's own reading ahead keeps whatever it has read of the file
# until its end
_BUFFER = 1 << 20


class Parquet(RowFile):
    """A Parquet file; a row's line is its number. No row is wrong by itself."""

    def tolerant(self, columns: Sequence[str] = ()) -> Iterator[Record]:
        """The rows; of their columns those named, else those that are used, else all."""
        with self._opened() as file:
            chosen = check_columns(file.schema_arrow.names, columns, self)
            batches = file.iter_batches(batch_size=ROWS_AT_A_TIME, columns=chosen)
            yield from numbered(batches, self)

    def names(self) -> list[str]:
        """The names of all columns."""
        with self._opened() as file:
            return column_names(file.schema_arrow, self)

    def count(self) -> int:
        """The number of rows, by the file's footer."""
        with self._opened() as file:
            return int(file.metadata.num_rows)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[pq.ParquetFile]:
        """The file, open. Raises InputError for whatever cannot be read of it."""
        try:
            with (
                reading(self.path),
                open_regular(self.path) as raw,
                pq.ParquetFile(raw, buffer_size=_BUFFER, pre_buffer=False) as file,
            ):
                yield file
        except (pa.ArrowException, ValueError, OverflowError, MemoryError) as error:
            raise InputError(
                f"is not a Parquet file or is damaged: {first_line(error)}", path=self.path
            ) from error
