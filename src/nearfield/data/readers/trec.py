"""TREC's qrels and BEIR's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nearfield.data.readers.lines import lines
from nearfield.data.record import Place, relevance_of
from nearfield.errors import InputError

_HEADER = ["query-id", "corpus-id", "score"]
Fields = Iterator[tuple[int, list[str]]]
"""The 1-based number of each line and its fields."""


def trec_judgements(path: Path) -> Iterator[tuple[str, str, int]]:
    """Query, document and relevance of each line of a TREC qrels file. Raises InputError that names
    a line of another form.
    """
    wanted = "4 fields apart by blanks: query, 0, document, relevance"
    rows = _counted(path, _fields(path, str.split), 4, wanted)
    return once(path, ((number, [row[0], row[2], row[3]]) for number, row in rows))


def beir_judgements(path: Path) -> Iterator[tuple[str, str, int]]:
    """The same of a BEIR qrels file: query-id, corpus-id, score apart by tabs, with or without that
    header.
    """
    wanted = (
        f"3 fields apart by tabs: {', '.join(_HEADER)} (a file of TREC's 4 fields is read "
        "when its name ends in .qrels or .txt)"
    )
    rows = _fields(path, lambda line: [field.strip() for field in line.split("\t")])
    return once(path, _counted(path, _without_header(path, rows), 3, wanted))


def _fields(path: Path, split: Callable[[str], list[str]]) -> Fields:
    for number, line in lines(path):
        if line.strip():
            yield number, split(line)


def _counted(path: Path, rows: Fields, count: int, wanted: str) -> Fields:
    for number, fields in rows:
        if len(fields) != count:
            raise InputError(f"has {len(fields)} fields; wanted {wanted}", path=path, line=number)
        yield number, fields


def _without_header(path: Path, rows: Fields) -> Fields:
    for position, (number, fields) in enumerate(rows):
        if position == 0:
            if [field.lower().replace("_", "-") for field in fields] == _HEADER:
                continue
            # three words and no number: a header of other names, which would be a judgement
            whole = any(field.lstrip("+-").isdigit() for field in fields[1:])
            if len(fields) == 3 and not whole:
                raise InputError(
                    f"the header is {', '.join(fields)}; wanted {', '.join(_HEADER)}, or "
                    "judgements without a header",
                    path=path,
                    line=number,
                )
        yield number, fields


def once(path: Place, rows: Iterable[tuple[int, Sequence[Any]]]) -> Iterator[tuple[str, str, int]]:
    """Each judgement once, of rows of a line number and query, document and relevance: a repeated
    one is left out. Raises InputError where two contradict each other.
    """
    seen: dict[tuple[str, str], int] = {}
    for number, (query, document, value) in rows:
        relevance = relevance_of(value, path, number)
        before = seen.get((query, document))
        if before is None:
            seen[query, document] = relevance
            yield query, document, relevance
        elif before != relevance:
            raise InputError(
                f"query {query!r} and document {document!r} are judged {relevance} here and "
                f"{before} before; keep one",
                path=path,
                line=number,
            )
