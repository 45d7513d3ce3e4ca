"""Arrow files (Feather), and the folder of them that Hugging Face datasets saves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from nearfield.data.readers.arrow_rows import check_columns, column_names, numbered
from nearfield.data.readers.lines import reading
from nearfield.data.readers.rows import RowFile
from nearfield.data.record import Record
from nearfield.errors import InputError, first_line
from nearfield.store.inside import inside
from nearfield.store.regular import open_regular

STATE = "state.json"
"""What lies in a folder that `Dataset.save_to_disk` wrote."""


class ArrowFile(RowFile):
    """An Arrow file, or stream in a file, or a folder of those; a row's line is its number."""

    def tolerant(self, columns: Sequence[str] = ()) -> Iterator[Record]:
        """The rows; of their columns those named, else those that are used, else all."""
        chosen = list(check_columns(self._schema().names, columns, self))
        yield from numbered((batch.select(chosen) for batch in self._batches()), self)

    def names(self) -> list[str]:
        """The names of all columns."""
        return column_names(self._schema(), self)

    def _schema(self) -> pa.Schema:
        first = next(self._batches(), None)
        if first is None:
            raise self.without_rows()
        return first.schema

    def count(self) -> None:
        """None: a stream does not say."""

    def files(self) -> list[Path]:
        """The files that hold the rows. Raises InputError where the folder names others."""
        if not self.path.is_dir():
            return [self.path]
        state = self.path / STATE
        try:
            with open_regular(state) as file:
                names = [str(each["filename"]) for each in json.load(file)["_data_files"]]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError("does not name its files (_data_files)", path=state) from error
        return [inside(self.path, name, path=state) for name in names]

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for path in self.files():
            try:
                with reading(path), open_regular(path) as file:
                    # what `datasets` saves are streams, which do not begin so
                    if file.peek(6)[:6] == b"ARROW1":
                        whole = pa.ipc.open_file(file)
                        yield from map(whole.get_batch, range(whole.num_record_batches))
                    else:
                        yield from pa.ipc.open_stream(file)
            except (pa.ArrowException, ValueError, OverflowError, MemoryError) as error:
                raise InputError(
                    f"is not an Arrow file or is damaged: {first_line(error)}", path=path
                ) from error
