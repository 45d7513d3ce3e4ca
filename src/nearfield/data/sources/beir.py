"""BEIR's folder: corpus.jsonl, queries.jsonl, qrels/<split>.tsv."""

from __future__ import annotations

from pathlib import Path

from nearfield.data.cache import files_key
from nearfield.data.collection import Collection
from nearfield.data.columns import columns_of
from nearfield.data.readers.jsonl import JsonLines
from nearfield.data.readers.trec import beir_judgements, trec_judgements
from nearfield.data.sources.source import Kind, Source, converted, name_of
from nearfield.data.stream import Stream, document_stream
from nearfield.data.writer import CollectionWriter
from nearfield.store.inside import inside
from nearfield.types.data_options import DataOptions
from nearfield.types.role import QUERY

CORPUS, QUERIES, QRELS = "corpus.jsonl", "queries.jsonl", "qrels"


class Beir(Source):
    """Documents (_id, title, text, group), queries (_id, text, group) and a file of judgements for
    each split.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(name_of(folder), folder)
        self.folder = folder
        self._corpus = JsonLines(folder / CORPUS)
        self._queries = JsonLines(folder / QUERIES)

    def collection(self) -> Collection:
        """The folder's documents, queries and judgements."""
        tables = [self.folder / CORPUS, self.folder / QUERIES]
        return converted(
            self.name,
            self._write,
            key=lambda: files_key("beir", [*tables, *judgement_files(self.folder)]),
            ids={"document": [self._corpus], "query": [self._queries]},
        )

    def stream(self, role: str) -> Stream:
        """The documents or queries, as they are read."""
        rows = self._queries if role == QUERY else self._corpus
        columns = columns_of(("_id", "title", "text"), rows.place)
        return document_stream(rows, columns, name=self.folder.name)

    def _write(self, writer: CollectionWriter) -> bool:
        for row in self._corpus:
            title = row.joined("title")
            group = row.joined("group")
            writer.document(row.id("_id"), row.text("text"), title=title, group=group)
        for row in self._queries:
            writer.query(row.id("_id"), row.text("text"), group=row.joined("group"))
        write_judgements(self.folder, writer)
        return False


def judgement_files(folder: Path) -> list[Path]:
    """The files in `qrels`: .tsv as BEIR writes them, .qrels and .txt as TREC does; a file's name
    is its split's.
    """
    found = sorted((folder / QRELS).glob("*"))
    return [
        inside(folder, f"{QRELS}/{path.name}", path=folder / QRELS)
        for path in found
        if path.suffix.lower() in (".tsv", ".qrels", ".txt")
    ]


def write_judgements(folder: Path, writer: CollectionWriter) -> None:
    """Write the judgements in the folder's `qrels` to `writer`."""
    for path in judgement_files(folder):
        read = beir_judgements if path.suffix.lower() == ".tsv" else trec_judgements
        for query, document, relevance in read(path):
            writer.judgement(query, document, relevance, path.stem)


def _recognise(given: object, options: DataOptions) -> Beir | None:
    if isinstance(given, Path) and (given / CORPUS).is_file():
        return Beir(given)
    return None


BEIR = Kind(f"a BEIR folder ({CORPUS}, {QUERIES}, {QRELS}/)", _recognise)
