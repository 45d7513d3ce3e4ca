"""Documents, and queries that are answered by spans of them: LegalBench-RAG's layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nearfield.data.readers.jsonl import Json
from nearfield.data.readers.lines import decode, reading
from nearfield.data.record import Record
from nearfield.errors import InputError
from nearfield.store.regular import open_regular

CORPUS, BENCHMARKS = "corpus", "benchmarks"


class Span(NamedTuple):
    """The characters `text[start:end]` of a document."""

    document: str
    start: int
    end: int


@dataclass(frozen=True)
class SpanData:
    """The text of each document, and the spans that answer each query; several files' queries are
    taken together.
    """

    name: str
    documents: Mapping[str, str]
    queries: Mapping[str, Sequence[Span]]
    source: str = ""


def open_spans(source: str | Path) -> SpanData:
    """A folder of texts in `corpus`, and of JSON files in `benchmarks` (or one of these files),
    each {"tests": [{"query": ..., "snippets": [{"file_path": ..., "span": [start, end]}]}]}, as
    LegalBench-RAG has it (Pipitone and Alami 2024, arXiv 2408.10343). Places are in characters, and
    `file_path` is a path in `corpus`.

    Raises InputError for another layout, and for a span that is not in its document.
    """
    place = Path(source)
    folder = place
    files = sorted((place / BENCHMARKS).glob("*.json"))
    if place.is_file():
        files = [place]
        folder = place.absolute().parent.parent
    if not files or not (folder / CORPUS).is_dir():
        raise InputError(
            f"holds no spans; wanted a folder of texts in {CORPUS}/ and of queries with their "
            f"snippets in {BENCHMARKS}/*.json",
            path=place,
        )
    corpus = folder / CORPUS
    documents = {}
    for path in sorted(corpus.rglob("*.txt")):
        if path.is_file():
            documents[path.relative_to(corpus).as_posix()] = _text(path)
    queries: dict[str, list[Span]] = {}
    for file in files:
        for record in Json(file):
            # the reader has made a row of each snippet where these have an answer
            snippets = record.values.get("snippets", [record.values])
            spans = [_span(record, each, documents) for each in _listed(snippets)]
            if not spans:
                raise record.error("has no snippets; wanted one at least")
            queries.setdefault(record.text("query"), []).extend(spans)
    return SpanData(place.stem, documents, queries, str(place))


def _text(path: Path) -> str:
    with reading(path), open_regular(path) as file:
        return decode(file.read(), path)


def _listed(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else []


def _span(record: Record, snippet: Any, documents: Mapping[str, str]) -> Span:
    name = str(snippet.get("file_path")) if isinstance(snippet, dict) else ""
    if name not in documents:
        raise record.error(f"file_path is {name[:80]!r}, which is no text of {CORPUS}/")
    places = _listed(snippet.get("span"))
    # by type and not isinstance, for which true is a whole number
    if not all(type(place) is int for place in places) or len(places) != 2:
        raise record.error(f"span is {snippet.get('span')!r}; wanted [start, end] in characters")
    start, end = places
    if not 0 <= start < end <= len(documents[name]):
        raise record.error(
            f"span [{start}, {end}] is not in {name!r}, which has {len(documents[name]):,} "
            "characters"
        )
    return Span(name, start, end)
