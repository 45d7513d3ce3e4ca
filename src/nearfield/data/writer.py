"""Collections and pairs written a row at a time, in bounded memory when they go to a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from nearfield.data.arrow import ROWS
from nearfield.data.collection import TABLES, Collection, note_collection
from nearfield.data.pairs import PAIRS, TABLE, Pairs, note_pairs

_BATCH_BYTES = 4 << 20  # a batch is written when its texts reach this, or ROWS rows


def made_id(text: str) -> str:
    """An id for a text that has none: 16 digits of its SHA-256, so that neither the order of rows
    nor of files matters.
    """
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class TableWriter:
    """Rows of one schema: to an Arrow IPC file at `path`, or kept in memory where that is None."""

    def __init__(self, schema: pa.Schema, path: Path | None) -> None:
        self._schema = schema
        self._rows: list[tuple[Any, ...]] = []
        self._bytes = 0
        self._batches: list[pa.RecordBatch] = []
        self._file = None if path is None else pa.OSFile(str(path), "wb")
        self._writer = None if self._file is None else pa.ipc.new_file(self._file, schema)

    def add(self, row: tuple[Any, ...], size: int) -> None:
        """Add a row, in the schema's order of columns; `size` is about how many bytes it takes."""
        # rows wait as Python objects: by their number and by their size, so that memory is bounded
        self._rows.append(row)
        self._bytes += size
        if self._bytes >= _BATCH_BYTES or len(self._rows) >= ROWS:
            self._flush()

    def close(self) -> pa.Table | None:
        """Write what is left; the table where it is in memory."""
        self._flush()
        if self._writer is None or self._file is None:
            return pa.Table.from_batches(self._batches, schema=self._schema)
        self._writer.close()
        self._file.close()
        return None

    def _flush(self) -> None:
        if not self._rows:
            return
        columns = []
        for field, column in zip(self._schema, zip(*self._rows, strict=True), strict=True):
            columns.append(pa.array(column, field.type))
        batch = pa.RecordBatch.from_arrays(columns, schema=self._schema)
        if self._writer is None:
            self._batches.append(batch)
        else:
            self._writer.write_batch(batch)
        self._rows = []
        self._bytes = 0


class CollectionWriter:
    """A collection a row at a time: into the new folder `folder`, or into memory where that is
    None.
    """

    def __init__(self, name: str, folder: Path | None) -> None:
        self._name = name
        self._folder = folder
        self._tables = {
            what: TableWriter(schema, folder and folder / f"{what}.arrow")
            for what, schema in TABLES.items()
        }

    def document(self, key: str, text: str, *, title: str = "", group: str = "") -> None:
        """Add a document."""
        self._tables["documents"].add((key, title, text, group), len(text) + len(title))

    def query(self, key: str, text: str, *, group: str = "") -> None:
        """Add a query."""
        self._tables["queries"].add((key, text, group), len(text))

    def judgement(self, query: str, document: str, relevance: int, split: str) -> None:
        """Add a judgement."""
        self._tables["judgements"].add(
            (query, document, relevance, split), len(query) + len(document)
        )

    def finish(self, *, documents_only: bool = False) -> Collection:
        """The collection, checked; in the folder, it is memory-mapped. Raises CollectionError as
        Collection does.
        """
        tables = {what: table.close() for what, table in self._tables.items()}
        if self._folder is None:
            documents, queries, judgements = tables.values()
            return Collection(
                self._name, documents, queries, judgements, documents_only=documents_only
            )
        note_collection(self._folder, self._name, documents_only=documents_only)
        return Collection.open(self._folder)


class PairsWriter:
    """Pairs from `source` a row at a time: into the new folder `folder`, or into memory where that
    is None.
    """

    def __init__(self, name: str, folder: Path | None, *, source: str = "") -> None:
        self._name = name
        self._folder = folder
        self._source = source
        self._table = TableWriter(PAIRS, folder and folder / TABLE)

    def pair(
        self,
        query: str,
        positive: str,
        *,
        negatives: Sequence[str] = (),
        score: float | None = None,
    ) -> None:
        """Add a pair."""
        size = len(query) + len(positive) + sum(map(len, negatives))
        self._table.add((query, positive, list(negatives), score), size)

    def finish(self) -> Pairs:
        """The pairs, checked; in the folder, they are memory-mapped. Raises CollectionError as
        Pairs does.
        """
        table = self._table.close()
        if self._folder is None:
            return Pairs(self._name, table, self._source)
        note_pairs(self._folder, self._name)
        return Pairs.open(self._folder, source=self._source)
