"""Tables that point at each other by ids: documents, what was asked, and what answers it."""

from __future__ import annotations

from pathlib import Path

from nearfield.data.cache import files_key
from nearfield.data.collection import Collection
from nearfield.data.columns import Columns
from nearfield.data.readers.column_names import KEYS, plain
from nearfield.data.readers.lines import reading
from nearfield.data.readers.pointers import pointers
from nearfield.data.readers.rows import Rows
from nearfield.data.sources.row_files import rows_of
from nearfield.data.sources.row_links import Links, write_links
from nearfield.data.sources.source import Kind, Source, converted, name_of
from nearfield.data.writer import CollectionWriter
from nearfield.errors import InputError
from nearfield.types.data_options import DataOptions

_MOST = 1 << 31  # bytes of files that are read to see what they are


class LinkedTables(Source):
    """A table of judgements or clicks, one of documents, and maybe one of queries."""

    def __init__(self, folder: Path, tables: list[Rows], links: Links) -> None:
        super().__init__(name_of(folder), folder)
        self._tables = tables
        self._links = links
        self.read_as = str(links)

    def collection(self) -> Collection:
        """All documents and queries, and the judgements between them."""
        files = [file for rows in self._tables for file in rows.files()]
        return converted(
            self.name, self._write, key=lambda: files_key(f"linked {self._links}", files), ids={}
        )

    def _write(self, writer: CollectionWriter) -> bool:
        write_links(self._links, writer)
        return False


def _recognise(given: object, options: DataOptions) -> LinkedTables | None:
    if not isinstance(given, Path) or not given.is_dir():
        return None
    with reading(given):
        files = sorted(file for file in given.iterdir() if file.is_file())
        if sum(file.stat().st_size for file in files) > _MOST:
            return None
    tables = [rows for file in files if (rows := rows_of(file)) is not None]
    if not 2 <= len(tables) <= 3:
        return None
    links = _links(tables)
    if links is None:
        return None
    return LinkedTables(given, tables, links)


def _links(tables: list[Rows]) -> Links | None:
    """The links of the table that points at all others, where they are certain."""
    found = [each for each in pointers(tables) if each.source is not each.target]
    for own in tables:
        out = [each for each in found if each.source is own]
        documents = [each for each in out if _documents(each.target) is not None]
        queries = [
            each
            for each in out
            if plain(Path(each.target.place).name.partition(".")[0]) in KEYS["query"]
        ]
        if len(tables) == 3 == len(out) + 1 and len(queries) == 1:
            to = next(each for each in out if each is not queries[0])
            columns = _documents(to.target)
            text = _query(queries[0].target)
            if columns is not None and text is not None:
                return Links(to, columns, text, queries[0])
        text = _query(own)
        if len(tables) == 2 and len(documents) == 1 and text is not None:
            columns = _documents(documents[0].target)
            if columns is not None:
                return Links(documents[0], columns, text)
    return None


def _documents(rows: Rows) -> Columns | None:
    """What the columns of documents mean; None where the rows are none."""
    try:
        return None if rows.layout.paired else rows.layout
    except InputError:
        return None


def _query(rows: Rows) -> str | None:
    """The column of queries, by its name or as the only one of texts."""
    names = rows.names()
    textless = rows.contents.textless(names)
    for meaning in ("query", "text"):
        named = [name for name in names if plain(name) in KEYS[meaning] and name not in textless]
        if named:
            return named[0]
    texts = [profile.name for profile in rows.contents.profiles]
    return texts[0] if len(texts) == 1 else None


LINKED = Kind("a folder of tables that point at each other by ids", _recognise)
