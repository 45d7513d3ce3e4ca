"""A folder of .txt, .md and .html files: each file a document."""

from __future__ import annotations

import os
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

from nearfield.data.columns import text_of, texts_of
from nearfield.data.readers.beir import QUERIES, judgement_files, write_judgements
from nearfield.data.readers.jsonl import records
from nearfield.data.readers.lines import LIMIT, decode, reading, refuse_binary, too_long
from nearfield.data.writer import CollectionWriter
from nearfield.errors import InputError
from nearfield.store.inside import inside
from nearfield.store.regular import open_regular

_HTML = (".html", ".htm")
SUFFIXES = (".txt", ".md", *_HTML)
_UNSEEN = {"script", "style", "template", "noscript"}
_BLOCKS = (
    *(
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "br",
        "caption",
        "dd",
        "details",
        "dialog",
        "div",
        "dl",
        "dt",
        "fieldset",
    ),
    *(
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "head",
        "header",
        "hr",
        "html",
        "legend",
        "li",
        "main",
    ),
    *(
        "nav",
        "ol",
        "option",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
    ),
)


def document_files(folder: Path) -> list[Path]:
    """The text files at any depth of `folder`, by name; names that start with a dot and the folder
    `qrels` are left out.
    """
    found = (
        path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    return sorted(path for path in found if not _left_out(path.relative_to(folder)))


def files_of(folder: Path) -> list[Path]:
    """All the files that are read: the documents, and queries.jsonl and the files in qrels where
    there are any.
    """
    queries = folder / QUERIES
    return [
        *document_files(folder),
        *([queries] if queries.is_file() else []),
        *judgement_files(folder),
    ]


def write_collection(folder: Path, writer: CollectionWriter) -> bool:
    """Write the folder's files as documents, whose id is their path in the folder, to `writer`;
    True where there are no queries.

    A `queries.jsonl` in the folder holds a query a line: `_id` (its line number where it is left
    out), `text`, `document` (the path of a file that answers it, or a list of them) and `split`
    ("all" where it is left out). Judgements may also lie in `qrels`, as in a BEIR folder.
    """
    for path in document_files(folder):
        text, title = _read(path)
        writer.document(path.relative_to(folder).as_posix(), text, title=title)
    queries = folder / QUERIES
    if not queries.is_file():
        return True
    for line, row in records(queries):
        key = "".join(texts_of(row, "_id", queries, line)) or str(line)
        writer.query(key, text_of(row, "text", queries, line))
        split = "".join(texts_of(row, "split", queries, line)) or "all"
        for document in texts_of(row, "document", queries, line):
            if not inside(folder, document, path=queries).is_file():
                raise InputError(
                    f"document {document!r} is no file of {folder}", path=queries, line=line
                )
            writer.judgement(key, document, 1, split)
    write_judgements(folder, writer)
    return False


def html_text(source: str) -> tuple[str, str]:
    """The visible text of an HTML page, a line a block, and its title ("" for none)."""
    page = _Page()
    page.feed(source)
    page.close()
    lines = (" ".join(line.split()) for line in "".join(page.body).split("\n"))
    return "\n".join(line for line in lines if line), " ".join("".join(page.title).split())


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.body: list[str] = []
        self.title: list[str] = []
        self._unseen: Counter[str] = Counter()  # elements that are open and whose text nobody sees
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
        if not self._unseen.total():
            (self.title if self._in_title else self.body).append(re.sub(r"\s+", " ", data))


def _read(path: Path) -> tuple[str, str]:
    with reading(path), open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LIMIT:
            raise InputError(too_long(size, what="the file"), path=path)
        raw = file.read()
    refuse_binary(raw[:16], path)
    text = decode(raw, path)
    return html_text(text) if path.suffix.lower() in _HTML else (text.strip(), "")


def _left_out(path: Path) -> bool:
    return path.parts[0] == "qrels" or any(part.startswith(".") for part in path.parts)
