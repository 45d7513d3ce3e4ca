"""Rankings and judgements in the files that trec_eval and ir-measures read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from nearfield.errors import InputError
from nearfield.store.atomic import write_text
from nearfield.types.arrays import Floats
from nearfield.types.ranking import Ranking


def write_run(ranking: Ranking, path: str | Path, *, tag: str = "nearfield") -> None:
    """A TREC run file: `query Q0 document rank score tag`, ranks from 1.

    The scores are the ranking's, as float32 in nine digits, except that one which does not lie
    below its predecessor's is written as the next smaller float32: readers sort by score and break
    ties by id, and must find the ranking's own order. Raises InputError for an id or tag that is
    empty or holds a blank, which the format cannot express.
    """
    _checked(ranking.query_ids, "query", path)
    _checked([tag], "tag", path)
    lines = []
    for row, query in enumerate(ranking.query_ids):
        found = ranking.documents[row] >= 0
        places = ranking.documents[row][found].tolist()
        documents = [ranking.document_ids[place] for place in places]
        _checked(documents, "document", path)
        scored = zip(documents, falling(ranking.scores[row][found]), strict=True)
        for rank, (document, score) in enumerate(scored, start=1):
            # nine digits tell any two float32 numbers apart
            lines.append(f"{query} Q0 {document} {rank} {score:.9g} {tag}\n")
    write_text(path, "".join(lines))


def write_qrels(relevance: Mapping[str, Mapping[str, int]], path: str | Path) -> None:
    """A TREC qrels file: `query 0 document relevance`. Raises InputError for an id that is empty or
    holds a blank.
    """
    _checked(relevance, "query", path)
    lines = []
    for query, documents in relevance.items():
        _checked(documents, "document", path)
        lines += [f"{query} 0 {document} {grade}\n" for document, grade in documents.items()]
    write_text(path, "".join(lines))


def check_expressible(
    query_ids: Iterable[str], document_ids: Iterable[str], path: str | Path
) -> None:
    """Raise InputError for an id that neither file can hold, before anything is ranked; `path` is
    where they would be written.
    """
    _checked(query_ids, "query", path)
    _checked(document_ids, "document", path)


def falling(scores: Floats) -> list[float]:
    """`scores: (k,)` made strictly falling, by as little as float32 allows."""
    fallen: list[float] = []
    below = np.float32(np.inf)
    for score in scores:
        below = score if score < below else np.nextafter(below, np.float32(-np.inf))
        fallen.append(float(below))
    return fallen


def _checked(names: Iterable[str], what: str, path: str | Path) -> None:
    for name in names:
        if name.split() != [name]:
            raise InputError(
                f"{what} {name!r} is empty or holds a blank, which TREC's format "
                "cannot express; rename it",
                path=path,
            )
