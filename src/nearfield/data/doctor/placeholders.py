"""Cells that a program printed for something else than a text: for a value that was missing, or for
a list.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearfield.data.collection import Collection
from nearfield.data.doctor.check import BOTH, Found, check
from nearfield.data.doctor.subject import Subject
from nearfield.data.record import MISSING
from nearfield.types.arrays import Mask
from nearfield.types.finding import ERROR, WARNING

# quotes within the brackets: what stands in brackets alone may be a text
_LIST = r"(?s)^\s*\[\s*(?:'.*'|\".*\")\s*\]\s*$"


@check(
    BOTH,
    fix=(
        "leave out the rows whose text was missing, or restore it; these look like missing values "
        "that were written as words"
    ),
)
def missing_value_texts(subject: Subject) -> Found | None:
    """Texts such as "nan" or "NULL"; an error where two judged pairs have one: rows that have
    nothing in common then share a text.
    """
    markers = pa.array(sorted(MISSING))
    marked = _marked(
        subject,
        lambda column: pc.is_in(pc.utf8_lower(pc.utf8_trim_whitespace(column)), value_set=markers),
    )
    queries, documents, _ = marked
    judged = subject.judged
    joined = queries[judged.positive_query] | documents[judged.positive_document]
    return _found(ERROR if joined.sum() > 1 else WARNING, subject, marked)


@check(
    BOTH,
    fix=(
        "write lists as lists, in a JSON lines or Parquet file; each of these counts as one text, "
        "brackets and all"
    ),
)
def printed_lists(subject: Subject) -> Found | None:
    """Texts such as "['a', 'b']": a list that a program printed into a cell, and that is one text
    now.
    """
    marked = _marked(subject, lambda column: pc.match_substring_regex(column, _LIST))
    return _found(WARNING, subject, marked)


def _marked(
    subject: Subject, of: Callable[[pa.ChunkedArray], pa.ChunkedArray]
) -> tuple[Mask, Mask, Mask]:
    """Which queries, documents, and negatives that stand beside pairs `of` marks."""
    data = subject.data
    if isinstance(data, Collection):
        queries = data.queries["text"]
        documents = data.documents["text"]
        negatives = pa.chunked_array([], pa.string())
    else:
        queries = data.table["query"]
        documents = data.table["positive"]
        negatives = pc.list_flatten(data.table["negatives"])

    def mask(column: pa.ChunkedArray) -> Mask:
        return np.asarray(pc.fill_null(of(column), False), dtype=bool)

    return mask(queries), mask(documents), mask(negatives)


def _found(severity: str, subject: Subject, marked: tuple[Mask, Mask, Mask]) -> Found | None:
    queries, documents, negatives = marked
    count = int(queries.sum() + documents.sum() + negatives.sum())
    if not count:
        return None
    if queries.any():
        example = subject.show_query(int(queries.argmax()))  # the first one
    elif documents.any():
        example = subject.show_document(int(documents.argmax()))
    else:
        example = f"{count:,} of the negatives"
    return Found(severity, count, sum(map(len, marked)), example)
