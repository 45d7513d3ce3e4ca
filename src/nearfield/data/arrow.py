"""Arrow tables on disk: conformed to a schema, written as IPC files, memory-mapped,
fingerprinted.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearfield.errors import CollectionError, InputError, first_line
from nearfield.store.regular import open_regular
from nearfield.types.arrays import Positions

ROWS = 16_384  # rows per record batch: 16 MiB at 1 KiB per text
_AGAIN = "import it again with `nearfield data import`"


def conform(table: pa.Table, schema: pa.Schema, *, what: str) -> pa.Table:
    """`table` with exactly the columns of `schema`, null strings as "". Raises CollectionError when
    it does not fit.
    """
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise CollectionError(
            f"{what} has columns {', '.join(table.column_names)}; wanted also {', '.join(missing)}"
        )
    strings = [field.name for field in schema if pa.types.is_string(field.type)]
    # what a folder of ours holds fits already, and stays memory-mapped
    if table.schema.equals(schema) and not any(table[name].null_count for name in strings):
        return table
    try:
        table = table.select(schema.names).cast(schema)
    except (pa.ArrowException, ValueError) as error:
        wanted = ", ".join(f"{field.name}: {field.type}" for field in schema)
        raise CollectionError(f"{what} does not fit ({error}); wanted {wanted}") from error
    columns = []
    for name in schema.names:
        column = table[name]
        columns.append(pc.fill_null(column, "") if name in strings else column)
    return pa.Table.from_arrays(columns, schema=schema)


def positions(values: pa.ChunkedArray | pa.Array, known: pa.ChunkedArray | pa.Array) -> Positions:
    """Where each value stands in `known`, -1 where it does not: (n,) int64."""
    found = pc.fill_null(pc.index_in(values, value_set=known), -1)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.int64)


def write_table(path: Path, table: pa.Table) -> None:
    """Write `table` as an Arrow IPC file in batches of at most ROWS rows."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=ROWS)


def open_table(path: Path) -> pa.Table:
    """The table in an Arrow IPC file, memory-mapped. Raises InputError when it is missing or
    damaged.
    """
    with _reading(path), pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
        # offsets that point outside, texts that are not UTF-8; about 8 GB/s
        table.validate(full=True)
        return table


def batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The record batches of an Arrow IPC file, one in memory at a time. Raises InputError as
    `open_table` does.
    """
    with _reading(path), pa.OSFile(str(path)) as file:
        reader = pa.ipc.open_file(file)
        for at in range(reader.num_record_batches):
            batch = reader.get_batch(at)
            batch.validate(full=True)
            yield batch


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what is wrong with the Arrow file at `path` into an InputError that names it."""
    if not path.exists():
        raise InputError(f"is missing: the folder is not whole; {_AGAIN}", path=path)
    open_regular(path).close()
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        raise InputError(
            f"is not an Arrow file or is damaged ({first_line(error)}); {_AGAIN}", path=path
        ) from error


def digest(table: pa.Table) -> str:
    """SHA-256, in hex, over the table's values in order, whatever its chunks are."""
    whole = hashlib.sha256()
    for name in table.column_names:
        column = _Digest()
        for chunk in table[name].chunks:  # so that a memory-mapped column is never copied whole
            column.update(chunk)
        whole.update(f"{name}\0{column.hex()}\0".encode())
    return whole.hexdigest()


class _Digest:
    """A hash each over nulls, lengths and values (and those of a list's items), so that chunk
    borders leave no trace.
    """

    def __init__(self) -> None:
        self.hashes = [hashlib.sha256() for _ in range(3)]
        self.items: _Digest | None = None

    def update(self, chunk: pa.Array) -> None:
        valid, lengths, values = self.hashes
        valid.update(np.asarray(chunk.is_valid()).tobytes())
        if pa.types.is_list(chunk.type):
            lengths.update(_int64(pc.list_value_length(chunk)))
            self.items = self.items or _Digest()
            self.items.update(chunk.flatten())
        elif pa.types.is_string(chunk.type) or pa.types.is_binary(chunk.type):
            lengths.update(_int64(pc.binary_length(chunk)))
            values.update(_string_bytes(chunk))
        else:
            # what lies under a null is not said, so that the same values had several digests
            filled = pc.fill_null(chunk, 0).to_numpy(zero_copy_only=False)
            values.update(np.ascontiguousarray(filled).tobytes())

    def hex(self) -> str:
        own = "".join(part.hexdigest() for part in self.hashes)
        return own if self.items is None else own + self.items.hex()


def _int64(lengths: pa.Array) -> bytes:
    return bytes(pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False).astype("<i8").tobytes())


def _string_bytes(chunk: pa.StringArray) -> memoryview:
    """The bytes of all the chunk's strings, end to end, without a copy."""
    _, offsets, data = chunk.buffers()
    if data is None or not len(chunk):
        return memoryview(b"")
    bounds = np.frombuffer(offsets, dtype=np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    return memoryview(data)[int(bounds[0]) : int(bounds[-1])]
