"""The documents of a collection in chunks, to a file or as a collection with its judgements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from nearfield.data.chunk.chunks import Chunk
from nearfield.data.collection import Collection
from nearfield.data.export import write_beir, write_rows

Cut = Callable[[str], Sequence[Chunk]]


class Placed(NamedTuple):
    """A chunk of a document; its id is the document's, `#` and its number from 0."""

    id: str
    document: str
    title: str
    group: str
    chunk: Chunk

    def place(self) -> dict[str, object]:
        """Which document it is of, and where in that one's text."""
        chunk = self.chunk
        return {
            # not "document": that is a column of texts where rows are read
            "parent_id": self.document,
            "start": chunk.start,
            "end": chunk.end,
            "headings": list(chunk.headings),
        }


def placed_chunks(collection: Collection, cut: Cut) -> Iterator[Placed]:
    """The chunks of each document's text, in order. A document without text is one empty chunk, so
    that its title and its judgements stay.
    """
    for batch in collection.documents.to_batches(max_chunksize=1024):
        for row in batch.to_pylist():
            for number, chunk in enumerate(cut(row["text"]) or [Chunk("", 0, 0)]):
                name = f"{row['id']}#{number}"
                yield Placed(name, row["id"], row["title"], row["group"], chunk)


def write_chunks(collection: Collection, cut: Cut, path: str | Path) -> int:
    """Write the chunks as JSON lines (id, parent_id, start, end, headings, title, text), whole or
    not at all; how many they are.
    """
    count = 0

    def rows() -> Iterator[dict[str, object]]:
        nonlocal count
        for placed in placed_chunks(collection, cut):
            count += 1
            row = {"id": placed.id} | placed.place()
            if placed.title:
                row["title"] = placed.title
            row["text"] = placed.chunk.text
            yield row

    write_rows(path, rows())
    return count


def write_judged_chunks(collection: Collection, cut: Cut, folder: str | Path) -> int:
    """Write the chunks as a BEIR folder, whole or not at all; how many they are.

    The collection's queries are in it, and each judgement of a document as one of each of its
    chunks. The fields of a document are those of `write_chunks`.
    """
    placed = list(placed_chunks(collection, cut))
    write_beir(_of_chunks(collection, placed), folder, more=[each.place() for each in placed])
    return len(placed)


def _of_chunks(collection: Collection, placed: Sequence[Placed]) -> Collection:
    chunks: dict[str, list[str]] = {}
    for each in placed:
        chunks.setdefault(each.document, []).append(each.id)
    judged = []
    for row in collection.judgements.to_pylist():
        # a judgement may name a document that is not there, and stays as it is
        for chunk in chunks.get(row["document"], [row["document"]]):
            judged.append(row | {"document": chunk})
    documents = [
        {"id": each.id, "title": each.title, "text": each.chunk.text, "group": each.group}
        for each in placed
    ]
    return Collection(
        collection.name,
        pa.Table.from_pylist(documents, collection.documents.schema),
        collection.queries,
        pa.Table.from_pylist(judged, collection.judgements.schema),
        documents_only=collection.documents_only,
    )
