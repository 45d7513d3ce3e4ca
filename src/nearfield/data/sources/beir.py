"""BEIR's folder: corpus.jsonl, queries.jsonl, qrels/<split>.tsv; and the same in tables, as mteb
and CoIR keep them on a hub: corpus/, queries/, and judgements in qrels/, default/ or data/.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from nearfield.data.cache import files_key
from nearfield.data.collection import ALL, Collection
from nearfield.data.columns import columns_of, shortened
from nearfield.data.readers.column_names import by_plain_name, first_called
from nearfield.data.readers.figures import document_text, has_figures
from nearfield.data.readers.jsonl import JsonLines
from nearfield.data.readers.rows import Rows
from nearfield.data.readers.trec import beir_judgements, once, trec_judgements
from nearfield.data.record import Record, split_called
from nearfield.data.sources.hub import split_in
from nearfield.data.sources.row_files import rows_of
from nearfield.data.sources.source import Kind, Source, converted, name_of
from nearfield.data.stream import Stream, document_stream
from nearfield.data.writer import CollectionWriter
from nearfield.errors import InputError
from nearfield.store.inside import inside
from nearfield.types.data_options import DataOptions
from nearfield.types.role import QUERY

CORPUS, QUERIES, QRELS = "corpus.jsonl", "queries.jsonl", "qrels"
_QRELS = (".tsv", ".qrels", ".txt")
_JUDGED = (QRELS, "default", "data")  # folders of tables of judgements


class Beir(Source):
    """Documents (_id or id, title, text, group), queries (_id or id, text, group) and judgements,
    in a file or table for each split.
    """

    def __init__(
        self,
        folder: Path,
        corpus: Sequence[Rows],
        queries: Sequence[Rows],
        judged: Sequence[Rows] = (),
    ) -> None:
        super().__init__(name_of(folder), folder)
        self.folder = folder
        self._corpus = corpus
        self._queries = queries
        self._judged = judged

    def collection(self) -> Collection:
        """The folder's documents, queries and judgements."""

        def key() -> str:
            read = [*self._corpus, *self._queries, *self._judged]
            files = chain.from_iterable(rows.files() for rows in read)
            return files_key("beir", [*files, *judgement_files(self.folder)])

        return converted(
            self.name,
            self._write,
            key=None if any(map(has_figures, self._corpus)) else key,
            ids={"document": self._corpus, "query": self._queries},
        )

    def stream(self, role: str) -> Stream:
        """The documents or queries, as they are read."""
        tables = self._queries if role == QUERY else self._corpus
        rows = tables[0]
        if len(tables) > 1 or "_id" not in rows.names():
            return super().stream(role)
        # by BEIR's own names, whatever else the rows hold; queries have no title
        columns = columns_of(("_id", "title", "text"), rows.place)
        return document_stream(rows, columns, name=self.folder.name)

    def _write(self, writer: CollectionWriter) -> bool:
        for row in chain.from_iterable(self._corpus):
            title = row.joined("title")
            group = row.joined("group")
            writer.document(_id(row), document_text(row, "text"), title=title, group=group)
        for row in chain.from_iterable(self._queries):
            writer.query(_id(row), row.text("text"), group=row.joined("group"))
        write_judgements(self.folder, writer)
        for table in self._judged:
            split = split_in(Path(table.place)) or ALL
            for query, document, relevance in _judgements(table):
                writer.judgement(query, document, relevance, split)
        return False


def judgement_files(folder: Path) -> list[Path]:
    """The files in `qrels`: .tsv as BEIR writes them, .qrels and .txt as TREC does; a file's name
    is its split's.
    """
    found = []
    for path in sorted((folder / QRELS).glob("*")):
        if path.suffix.lower() in _QRELS:
            found.append(inside(folder, f"{QRELS}/{path.name}", path=folder / QRELS))
    return found


def write_judgements(folder: Path, writer: CollectionWriter) -> None:
    """Write the judgements in the folder's `qrels` to `writer`."""
    for path in judgement_files(folder):
        read = beir_judgements if path.suffix.lower() == ".tsv" else trec_judgements
        for query, document, relevance in read(path):
            writer.judgement(query, document, relevance, split_called(path.stem))


def _tables(folder: Path) -> tuple[list[Rows], list[Rows], list[Rows]]:
    """The tables one or two folders deep: of the corpus and of queries, by the name of the file or
    of its folder, and of judgements, in a folder of `_JUDGED` or called as a split.
    """
    corpus: list[Rows] = []
    queries: list[Rows] = []
    judged: list[Rows] = []
    for path in sorted([*folder.glob("*/*"), *folder.glob("*/*/*")]):
        if path.suffix in _QRELS or not path.is_file():
            continue
        rows = rows_of(path)
        if rows is None:
            continue
        # corpus-00000-of-00002.parquet is called corpus
        called = (path.parent.name, path.name.partition(".")[0].partition("-")[0])
        if "corpus" in called:
            corpus.append(rows)
        elif "queries" in called:
            queries.append(rows)
        elif path.parent.name in _JUDGED or split_in(path):
            judged.append(rows)
    return corpus, queries, judged


def _id(row: Record) -> str:
    if "id" in row.values and "_id" not in row.values:
        return row.id("id")
    return row.id("_id")


def _judgements(rows: Rows) -> Iterator[tuple[str, str, int]]:
    """Query, document and relevance of each row of a table. Raises InputError where it has none."""
    names = by_plain_name(rows.names())
    query = first_called(names, ("queryid", "qid"))
    document = first_called(names, ("corpusid", "documentid", "docid"))
    score = first_called(names, ("score", "relevance"))
    if query is None or document is None or score is None:
        raise InputError(
            f"has columns {shortened(rows.names())}; wanted query-id, corpus-id and score",
            path=rows.place,
        )
    fields = ((row.line, [row.id(query), row.id(document), row.values[score]]) for row in rows)
    return once(rows.place, fields)


def _recognise(given: object, options: DataOptions) -> Beir | None:
    if not isinstance(given, Path):
        return None
    if (given / CORPUS).is_file():
        return Beir(given, [JsonLines(given / CORPUS)], [JsonLines(given / QUERIES)])
    if not given.is_dir():
        return None
    corpus, queries, judged = _tables(given)
    if corpus and queries:
        return Beir(given, corpus, queries, judged)
    return None


BEIR = Kind(
    f"a BEIR folder ({CORPUS}, {QUERIES}, {QRELS}/, or tables in corpus/, queries/, {QRELS}/)",
    _recognise,
)
