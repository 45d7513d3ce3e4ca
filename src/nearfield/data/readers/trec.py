"""TREC's qrels and run files, and BEIR's qrels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nearfield.data.readers.lines import lines
from nearfield.data.readers.rows import relevance_of
from nearfield.errors import InputError
from nearfield.types.ranking import Ranking

_HEADER = ["query-id", "corpus-id", "score"]


def trec_judgements(path: Path) -> Iterator[tuple[str, str, int]]:
    """Query, document and relevance of each line of a TREC qrels file. Raises InputError that names
    a line of another form.
    """
    wanted = "4 fields apart by blanks: query, 0, document, relevance"
    rows = ((number, line.split()) for number, line in lines(path) if line.strip())
    return _once(
        path,
        (
            (number, fields[0], fields[2], fields[3])
            for number, fields in _counted(path, rows, 4, wanted)
        ),
    )


def beir_judgements(path: Path) -> Iterator[tuple[str, str, int]]:
    """The same of a BEIR qrels file: query-id, corpus-id, score apart by tabs, with or without that
    header.
    """
    wanted = (
        f"3 fields apart by tabs: {', '.join(_HEADER)} (a file of TREC's 4 fields is read "
        "when its name ends in .qrels or .txt)"
    )
    rows = (
        (number, [field.strip() for field in line.split("\t")])
        for number, line in lines(path)
        if line.strip()
    )
    counted = _counted(path, _without_header(path, rows), 3, wanted)
    return _once(path, ((number, fields[0], fields[1], fields[2]) for number, fields in counted))


def read_run(path: str | Path) -> Ranking:
    """The ranking in a TREC run file: query, Q0, document, rank, score, tag a line, apart by
    blanks.

    Each query's documents are ordered by score, then by rank, as written; queries come in the order
    of the file.
    """
    path = Path(path)
    results: dict[str, list[tuple[float, int, int]]] = {}
    positions: dict[str, int] = {}
    rows = ((number, line.split()) for number, line in lines(path) if line.strip())
    wanted = "6 fields apart by blanks: query, Q0, document, rank, score, tag"
    for number, (query, _, document, rank, score, _) in _counted(path, rows, 6, wanted):
        position = positions.setdefault(document, len(positions))
        results.setdefault(query, []).append(
            (-_finite(score, path, number), _rank(rank, path, number), position)
        )
    return _ranking(results, list(positions), path)


def _ranking(
    results: dict[str, list[tuple[float, int, int]]], document_ids: list[str], path: Path
) -> Ranking:
    depth = max(map(len, results.values()), default=0)
    documents = np.full((len(results), depth), -1, dtype=np.int64)
    scores = np.full((len(results), depth), -np.inf, dtype=np.float32)
    for row, (query, found) in enumerate(results.items()):
        found.sort()
        documents[row, : len(found)] = [position for _, _, position in found]
        scores[row, : len(found)] = [-negated for negated, _, _ in found]
        if len({position for _, _, position in found}) < len(found):
            raise InputError(f"query {query!r} ranks a document twice", path=path)
    return Ranking(list(results), document_ids, documents, scores)


def _counted(
    path: Path, rows: Iterator[tuple[int, list[str]]], count: int, wanted: str
) -> Iterator[tuple[int, list[str]]]:
    for number, fields in rows:
        if len(fields) != count:
            raise InputError(f"has {len(fields)} fields; wanted {wanted}", path=path, line=number)
        yield number, fields


def _without_header(
    path: Path, rows: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    for position, (number, fields) in enumerate(rows):
        header = [field.lower().replace("_", "-") for field in fields]
        if position == 0 and header == _HEADER:
            continue
        if (
            position == 0
            and len(fields) == 3
            and not any(field.lstrip("+-").isdigit() for field in fields[1:])
        ):
            message = (
                f"the header is {', '.join(fields)}; wanted {', '.join(_HEADER)}, or "
                "judgements without a header"
            )
            raise InputError(message, path=path, line=number)
        yield number, fields


def _once(path: Path, rows: Iterator[tuple[int, str, str, str]]) -> Iterator[tuple[str, str, int]]:
    """Each judgement once: a repeated one is left out. Raises InputError where two contradict each
    other.
    """
    seen: dict[tuple[str, str], int] = {}
    for number, query, document, value in rows:
        relevance = relevance_of(value, path, number)
        before = seen.get((query, document))
        if before is None:
            seen[query, document] = relevance
            yield query, document, relevance
        elif before != relevance:
            message = (
                f"query {query!r} and document {document!r} are judged {relevance} here and "
                f"{before} before; keep one"
            )
            raise InputError(message, path=path, line=number)


def _finite(score: str, path: Path, line: int) -> float:
    try:
        value = float(score)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise InputError(f"the score is {score!r}; wanted a number", path=path, line=line)
    return value


def _rank(rank: str, path: Path, line: int) -> int:
    try:
        return int(rank)
    except ValueError as error:
        raise InputError(
            f"the rank is {rank!r}; wanted an integer", path=path, line=line
        ) from error
