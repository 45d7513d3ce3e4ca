"""A folder of .txt, .md and .html files, each of which is a document."""

from __future__ import annotations

import os
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

from nearfield.data.cache import files_key
from nearfield.data.collection import ALL, Collection
from nearfield.data.readers.jsonl import JsonLines
from nearfield.data.readers.lines import LIMIT, decode, reading, refuse_binary, too_long
from nearfield.data.record import Record
from nearfield.data.sources.beir import QUERIES, judgement_files, write_judgements
from nearfield.data.sources.source import Kind, Source, converted, name_of
from nearfield.data.writer import CollectionWriter
from nearfield.errors import InputError
from nearfield.store.inside import inside
from nearfield.store.regular import open_regular
from nearfield.types.data_options import DataOptions

_HTML = (".html", ".htm")
SUFFIXES = (".txt", ".md", *_HTML)
_UNSEEN = {"script", "style", "template", "noscript"}
_BLOCK_NAMES = (
    "address article aside blockquote body br caption dd details dialog div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hr html legend li main nav ol "
    "option p pre section summary table tbody td tfoot th thead tr ul"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())


class TextFolder(Source):
    """Files as documents, whose id is their path in the folder.

    A `queries.jsonl` in the folder holds a query on each line: `_id` (its line number where it is
    left out), `text`, `document` (the path of a file that answers it, or a list of them) and
    `split` ("all" where it is left out). Judgements may also lie in `qrels`, as in a BEIR folder.
    """

    def __init__(self, folder: Path, documents: list[Path]) -> None:
        super().__init__(name_of(folder), folder)
        self.folder = folder
        self._documents = documents
        self._queries = folder / QUERIES

    def collection(self) -> Collection:
        """The folder's documents, with its queries and judgements where there are any."""
        return converted(
            self.name,
            self._write,
            key=lambda: files_key("texts", self._files()),
            ids={"query": [JsonLines(self._queries)]},
        )

    def _files(self) -> list[Path]:
        # listed each time, so that a file that comes while they are read is noticed
        files = document_files(self.folder)
        if self._queries.is_file():
            files.append(self._queries)
        return files + judgement_files(self.folder)

    def _write(self, writer: CollectionWriter) -> bool:
        for path in self._documents:
            text, title = _read(path)
            writer.document(path.relative_to(self.folder).as_posix(), text, title=title)
        if not self._queries.is_file():
            return True
        for row in JsonLines(self._queries):
            self._write_query(row, writer)
        write_judgements(self.folder, writer)
        return False

    def _write_query(self, row: Record, writer: CollectionWriter) -> None:
        key = row.joined("_id") or str(row.line)
        writer.query(key, row.text("text"))
        split = row.split("split") or ALL
        for document in dict.fromkeys(row.texts("document")):
            if not inside(self.folder, document, path=self._queries).is_file():
                raise row.error(f"document {document!r} is not a file of {self.folder}")
            writer.judgement(key, document, 1, split)


def document_files(folder: Path) -> list[Path]:
    """The text files at any depth of `folder`, by name; names that start with a dot and the folder
    `qrels` are left out. What is not a regular file is among them, so that reading names it.
    """
    found = []
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        left_out = parts[0] == "qrels" or any(part.startswith(".") for part in parts)
        if path.suffix.lower() in SUFFIXES and not left_out and not path.is_dir():
            found.append(path)
    return sorted(found)


def html_text(source: str) -> tuple[str, str]:
    """The visible text of an HTML page, one line for each block, and its title ("" for none)."""
    page = _Page()
    page.feed(source)
    page.close()
    lines = (" ".join(line.split()) for line in "".join(page.body).split("\n"))
    title = " ".join("".join(page.title).split())
    return "\n".join(filter(None, lines)), title


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.body: list[str] = []
        self.title: list[str] = []
        # open elements whose text nobody sees; counted and not stacked, as pages leave some open
        self._unseen: Counter[str] = Counter()
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self._unseen[tag] += 1
        elif tag == "title":
            self._in_title = True
        elif tag in _BLOCKS:
            self.body.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._unseen[tag]:
            self._unseen[tag] -= 1
        elif tag == "title":
            self._in_title = False
        elif tag in _BLOCKS:
            self.body.append("\n")

    def handle_data(self, data: str) -> None:
        if self._unseen.total():
            return
        part = self.title if self._in_title else self.body
        # a source's own line breaks are blanks; only blocks begin lines
        part.append(re.sub(r"\s+", " ", data))


def _read(path: Path) -> tuple[str, str]:
    with reading(path), open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LIMIT:
            raise InputError(too_long(size, what="the file"), path=path)
        raw = file.read()
    refuse_binary(raw[:16], path)
    text = decode(raw, path)
    if path.suffix.lower() in _HTML:
        return html_text(text)
    return text.strip(), ""


def _recognise(given: object, options: DataOptions) -> TextFolder | None:
    if not isinstance(given, Path) or not given.is_dir():
        return None
    documents = document_files(given)
    if not documents:
        return None
    return TextFolder(given, documents)


TEXTS = Kind(f"a folder of {', '.join(SUFFIXES)} files", _recognise)
