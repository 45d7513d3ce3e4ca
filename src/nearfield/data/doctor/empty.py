"""Texts that say nothing: empty, or of one character."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nearfield.data.doctor.check import BOTH, Found, check
from nearfield.data.doctor.subject import Subject
from nearfield.data.doctor.words import visible
from nearfield.types.arrays import Positions
from nearfield.types.finding import ERROR, WARNING

# characters besides blanks, invisible ones counted; longer texts are not looked at closely
_SHORT = 32


_FIX = "remove the empty texts and their judgements, or restore what was lost"


@check(BOTH, fix=_FIX)
def empty_documents(subject: Subject) -> Found | None:
    """Documents without any text; an error where one is judged a positive, as no model can find it
    by what it says.
    """
    query_of = {document: query for query, document in subject.judged.pairs}

    def name(position: int) -> str:
        named = subject.name_document(position)
        # a document without an id of its own goes by its text, which is empty
        if position in query_of and named.endswith('""'):
            return f"the document of {subject.show_query(query_of[position])}"
        return named

    return _empty(subject.documents, subject.judged.positive_document, name)


@check(BOTH, fix=_FIX)
def empty_queries(subject: Subject) -> Found | None:
    """Queries without any text; an error where one has a positive."""
    return _empty(subject.queries, subject.judged.answered, subject.name_query)


@check(BOTH, fix="remove them, or restore the text that was lost")
def one_character_texts(subject: Subject) -> Found | None:
    """Queries and documents of one character: often a placeholder or what is left of a broken
    export.
    """
    queries = _of_length(subject.queries, 1)
    documents = _of_length(subject.documents, 1)
    count = len(queries) + len(documents)
    if not count:
        return None
    if len(queries):
        example = subject.show_query(int(queries[0]))
    else:
        example = subject.show_document(int(documents[0]))
    total = len(subject.queries) + len(subject.documents)
    return Found(WARNING, count, total, example)


def _empty(texts: Sequence[str], judged: Positions, name: Callable[[int], str]) -> Found | None:
    empty = _of_length(texts, 0)
    if not len(empty):
        return None
    harmful = np.intersect1d(empty, judged)
    if len(harmful):
        example = f"{name(int(harmful[0]))} is judged and empty"
        return Found(ERROR, len(empty), len(texts), example)
    return Found(WARNING, len(empty), len(texts), f"{name(int(empty[0]))} is empty")


def _of_length(texts: Sequence[str], characters: int) -> Positions:
    """Positions of the texts with exactly `characters` visible characters."""
    found = []
    for row, text in enumerate(texts):
        if len(text.strip()) <= _SHORT and len(visible(text)) == characters:
            found.append(row)
    return np.array(found, np.int64)
