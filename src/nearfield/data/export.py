"""Collections and pairs in the forms that other tools read."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nearfield.data.collection import Collection
from nearfield.data.pairs import Pairs
from nearfield.data.sources.beir import CORPUS, QRELS, QUERIES
from nearfield.errors import InputError
from nearfield.store.atomic import staged_file, staged_folder


def write_beir(
    collection: Collection,
    folder: str | Path,
    *,
    more: Iterable[Mapping[str, Any]] | None = None,
) -> None:
    """Write the collection as a BEIR folder, whole or not at all; groups that are not "" go into a
    field `group`. `more` gives further fields of each document.

    Raises InputError for an id with a tab or a line break in it, which BEIR's files cannot hold.
    """
    for table in (collection.documents, collection.queries):
        wrong = table["id"].filter(pc.match_substring_regex(table["id"], r"[\t\r\n]"))
        if len(wrong):
            raise InputError(
                f"{collection.name}: id {wrong[0].as_py()!r} holds a tab or line "
                "break; BEIR's files cannot hold it"
            )
    judgements = collection.judgements
    with staged_folder(folder) as stage:
        documents = map(_beir_row, _rows(collection.documents))
        if more is not None:
            documents = map(operator.or_, documents, more)
        _write_lines(stage / CORPUS, documents)
        _write_lines(stage / QUERIES, map(_beir_row, _rows(collection.queries)))
        (stage / QRELS).mkdir()
        for split in collection.splits:
            own = judgements.filter(pc.equal(judgements["split"], split))
            _write_qrels(stage / QRELS / f"{split}.tsv", own)


def write_pairs(pairs: Pairs, path: str | Path) -> None:
    """Write the pairs as JSON lines (query, positive, negatives, and score where they are scored),
    whole or not at all.
    """
    table = pairs.table if pairs.scored else pairs.table.drop_columns("score")
    write_rows(path, _rows(table))


def write_rows(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write `rows` as JSON lines, whole or not at all."""
    with staged_file(path) as stage:
        _write_lines(stage, rows)


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows as dicts; those of a memory-mapped table are never all in memory."""
    for batch in table.to_batches(max_chunksize=4096):
        yield from batch.to_pylist()


def _beir_row(row: Mapping[str, Any]) -> dict[str, Any]:
    made = {"_id": row["id"]} | dict(row)
    del made["id"]
    if not made["group"]:
        del made["group"]
    return made


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _write_qrels(path: Path, judgements: pa.Table) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        for row in _rows(judgements):
            file.write(f"{row['query']}\t{row['document']}\t{row['relevance']}\n")
