"""Texts that say nothing: empty, or of one character."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nearfield.data.doctor.subject import ModelFacts, Subject
from nearfield.data.doctor.words import Rows, visible
from nearfield.types.finding import ERROR, WARNING, Finding

# characters besides blanks, invisible ones counted; longer texts are not looked at closely
_SHORT = 32


def empty_documents(subject: Subject, model: ModelFacts | None) -> Finding | None:
    """Documents without any text; an error where one is judged a positive, as no model can find it
    by what it says.
    """
    empty = _of_length(subject.documents, 0)
    return _empty(
        "empty-documents",
        empty,
        subject.judged.document[subject.judged.positive],
        subject.name_document,
        len(subject.documents),
    )


def empty_queries(subject: Subject, model: ModelFacts | None) -> Finding | None:
    """Queries without any text; an error where one has a positive."""
    empty = _of_length(subject.queries, 0)
    return _empty(
        "empty-queries",
        empty,
        subject.judged.query[subject.judged.positive],
        subject.name_query,
        len(subject.queries),
    )


def one_character_texts(subject: Subject, model: ModelFacts | None) -> Finding | None:
    """Queries and documents of one character: often a placeholder or what is left of a broken
    export.
    """
    queries, documents = _of_length(subject.queries, 1), _of_length(subject.documents, 1)
    count = len(queries) + len(documents)
    if not count:
        return None
    example = (
        subject.show_query(int(queries[0]))
        if len(queries)
        else subject.show_document(int(documents[0]))
    )
    total = len(subject.queries) + len(subject.documents)
    return Finding(
        "one-character-texts",
        WARNING,
        count,
        total,
        example,
        "remove them, or restore the text that was lost",
    )


def _empty(
    check: str, empty: Rows, judged: Rows, name: Callable[[int], str], total: int
) -> Finding | None:
    if not len(empty):
        return None
    harmful = np.intersect1d(empty, judged)
    example = (
        f"{name(int(harmful[0]))} is judged and empty"
        if len(harmful)
        else f"{name(int(empty[0]))} is empty"
    )
    severity = ERROR if len(harmful) else WARNING
    return Finding(
        check,
        severity,
        len(empty),
        total,
        example,
        "remove the empty texts and their judgements, or restore what was lost",
    )


def _of_length(texts: Sequence[str], characters: int) -> Rows:
    """Positions of the texts with exactly so many visible characters."""
    found = (
        row
        for row, text in enumerate(texts)
        if len(text.strip()) <= _SHORT and len(visible(text)) == characters
    )
    return np.fromiter(found, dtype=np.int64)
