"""Tables that point at each other by ids: documents, what was asked, and what answers it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from nearfield.data.cache import files_key
from nearfield.data.collection import Collection
from nearfield.data.columns import Columns, columns_of
from nearfield.data.readers.column_names import KEYS, plain
from nearfield.data.readers.lines import reading
from nearfield.data.readers.pointers import Pointer, pointers
from nearfield.data.readers.rows import Rows
from nearfield.data.sources.row_files import tables_of
from nearfield.data.sources.row_links import Links, write_links
from nearfield.data.sources.source import Kind, Source, converted, name_of
from nearfield.data.writer import CollectionWriter
from nearfield.errors import InputError
from nearfield.types.data_options import DataOptions

_MOST_TABLES = 8  # each column is compared with the ids of every table
_MOST = 1 << 31  # bytes of files that are read to see what they are


class LinkedTables(Source):
    """A table of judgements or clicks, one of documents, and maybe one of queries; others beside
    them, as in a whole export, are not used.
    """

    def __init__(self, folder: Path, tables: list[Rows], links: Links) -> None:
        super().__init__(name_of(folder), folder)
        self._tables = tables
        self._links = links
        used = links.tables()
        others = [Path(rows.place).name for rows in tables if rows not in used]
        self.read_as = str(links)
        if others:
            self.read_as += f"; not used: {', '.join(others)}"

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
    tables = tables_of(files)
    if not 2 <= len(tables) <= _MOST_TABLES:
        return None
    # rows that point within their own table are of one file, see `own_links`
    found = [each for each in pointers(tables) if each.source is not each.target]
    if not found:
        return None
    links = _links(tables, found, options)
    if len(links) == 1:
        return LinkedTables(given, tables, links[0])
    error = _uncertain(given, links, found)
    if error is not None:
        raise error
    return None


def _links(tables: list[Rows], found: list[Pointer], options: DataOptions) -> list[Links]:
    """The links of each table that points at documents: with a table of queries, where there is
    one, else with a query in the table itself; where no table does, of one of answers that points
    at what they answer.
    """
    # the three layouts: judgements between two tables, rows with a query each, and answers
    between: list[Links] = []
    within: list[Links] = []
    answers: list[Links] = []
    for own in tables:
        out = [each for each in found if each.source is own]
        asked = [each for each in out if _called_queries(each.target)]
        for to in out:
            stated = options.query in to.target.names() and options.query not in own.names()
            if to in asked or stated:
                answers += _answers(to, options)
            columns = _documents(to.target, options.document)
            if columns is None or to in asked:
                continue
            if len(asked) == 1:
                text = _query(asked[0].target, options.query)
                if text is not None:
                    between.append(Links(to, columns, text, asked[0]))
            else:
                text = _query(own, options.query)
                if text is not None:
                    within.append(Links(to, columns, text))
    return between or within or answers


def _answers(to: Pointer, options: DataOptions) -> list[Links]:
    """The links of a table of answers, each a document of its own, by the table's ids; none where
    its texts, its ids or the queries are not certain.
    """
    own = to.source
    document = options.document or _text(own, ("positive", "text"))
    query = _query(to.target, options.query)
    key = next((name for name in own.names() if plain(name) in KEYS["id"]), None)
    if key is None or query is None or document not in own.names():
        return []
    columns = columns_of(own.names(), own.place, DataOptions(document=document))
    return [Links(Pointer(own, key, own, key), columns, query, to)]


def _called_queries(rows: Rows) -> bool:
    return plain(Path(rows.place).name.partition(".")[0]) in KEYS["query"]


def _documents(rows: Rows, stated: str | None) -> Columns | None:
    """What the columns of documents mean, by what was stated where they have such a column; None
    where the rows are no documents.
    """
    try:
        if stated in rows.names():
            columns = columns_of(rows.names(), rows.place, DataOptions(document=stated))
        else:
            columns = rows.layout
    except InputError:
        return None
    return None if columns.paired else columns


def _query(rows: Rows, stated: str | None) -> str | None:
    """The column of queries: as stated, by its name, or as the only one of texts."""
    if stated is not None:
        return stated if stated in rows.names() else None
    return _text(rows, ("query", "text"))


def _text(rows: Rows, meanings: Sequence[str]) -> str | None:
    """The column of texts that is called so, or the only one."""
    names = rows.names()
    textless = rows.contents.textless(names)
    for meaning in meanings:
        named = [name for name in names if plain(name) in KEYS[meaning] and name not in textless]
        if named:
            return named[0]
    texts = rows.contents.profiles
    return texts[0].name if len(texts) == 1 else None


def _uncertain(folder: Path, links: list[Links], found: list[Pointer]) -> InputError | None:
    """The error for tables of which more than one may hold the documents, or whose columns of texts
    are not certain, with what to state; None where they hold no texts.
    """
    if links:
        ways = "; or ".join(map(str, links))
        return InputError(f"its tables can be read as: {ways}. Take one of them out", path=folder)
    for to in found:
        asked = to.source.contents.profiles
        answers = to.target.contents.profiles
        if asked and answers:
            # a query is a question where most of a column are, else the shortest text
            query = min(asked, key=lambda profile: (-round(profile.questions), profile.length))
            document = max(answers, key=lambda profile: profile.length)
            names = f"--query {shlex.quote(query.name)} --document {shlex.quote(document.name)}"
            source = Path(to.source.place).name
            target = Path(to.target.place).name
            return InputError(
                f"{source} points at {target} by {to.column!r}; which columns are the texts is not "
                f"certain. Where {source} answers {target}, name a query of {target} and a "
                f"document of {source}; else, by their contents, say: {names}",
                path=folder,
            )
    return None


LINKED = Kind("a folder of tables that point at each other by ids", _recognise)
