"""Judgements that point nowhere, that contradict each other, or that are not there."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from nearfield.data.collection import Collection
from nearfield.data.doctor.subject import ModelFacts, Subject
from nearfield.data.pairs import Pairs
from nearfield.types.finding import ERROR, NOTE, WARNING, Finding

_FEW = 0.01  # up to this share of judgements lost moves no mean by more than a hundredth


def unknown_ids(subject: Subject, model: ModelFacts | None) -> Finding | None:
    """Judgements whose query or document the collection does not have; an error above 1 %."""
    assert isinstance(subject.data, Collection)
    judged, table = subject.judged, subject.data.judgements
    wrong = np.flatnonzero((judged.query < 0) | (judged.document < 0))
    if not len(wrong):
        return None
    row = int(wrong[0])
    part, key = ("query", judged.query) if judged.query[row] < 0 else ("document", judged.document)
    example = (
        f"split {table['split'][row].as_py()!r} judges {part} {table[part][row].as_py()!r}, "
        "which is not there"
    )
    severity = ERROR if len(wrong) > _FEW * len(key) else WARNING
    fix = (
        "add the missing queries and documents, or remove these judgements; check that the ids "
        "were not renumbered"
    )
    return Finding("unknown-ids", severity, len(wrong), len(key), example, fix)


def contradictory_judgements(subject: Subject, model: ModelFacts | None) -> Finding | None:
    """A query and a document that are judged twice with two relevances."""
    judged = subject.judged
    known = np.flatnonzero((judged.query >= 0) & (judged.document >= 0))
    pair = judged.query[known] * len(subject.documents) + judged.document[known]
    order = known[np.lexsort((judged.relevance[known], pair))]
    same = (judged.query[order[1:]] == judged.query[order[:-1]]) & (
        judged.document[order[1:]] == judged.document[order[:-1]]
    )
    wrong = np.flatnonzero(same & (judged.relevance[order[1:]] != judged.relevance[order[:-1]]))
    if not len(wrong):
        return None
    one, other = int(order[wrong[0]]), int(order[wrong[0] + 1])
    query, document = int(judged.query[one]), int(judged.document[one])
    grades = f"relevance {judged.relevance[one]} and {judged.relevance[other]}"
    example = f"{subject.show_query(query)} and {subject.name_document(document)} have {grades}"
    return Finding(
        "contradictory-judgements",
        WARNING,
        len(wrong),
        len(known),
        example,
        "keep one judgement for each query and document",
    )


def queries_without_positive(subject: Subject, model: ModelFacts | None) -> Finding | None:
    """Queries with no relevant document: an error when that is all of them, a warning where they
    were judged, else a note.
    """
    judged, count = subject.judged, len(subject.queries)
    answered = np.zeros(count, dtype=bool)
    answered[judged.query[judged.positive]] = True
    if answered.all():
        return None
    touched = np.zeros(count, dtype=bool)
    touched[judged.query[judged.query >= 0]] = True
    refused = np.flatnonzero(touched & ~answered)
    severity = ERROR if not answered.any() else WARNING if len(refused) else NOTE
    row = int(refused[0] if len(refused) else np.flatnonzero(~answered)[0])
    example = (
        f"{subject.show_query(row)} has "
        f"{'judgements, none above 0' if len(refused) else 'no judgement'}"
    )
    fix = (
        "judge a relevant document for each, or remove the queries; they are neither trained "
        "on nor measured"
    )
    return Finding(
        "queries-without-positive", severity, int((~answered).sum()), count, example, fix
    )


def one_positive(subject: Subject, model: ModelFacts | None) -> Finding | None:
    """All queries that are trained on have the same document as their positive: there is nothing to
    tell it from.
    """
    if isinstance(subject.data, Pairs) and (
        subject.data.scored
        or pc.any(pc.greater(pc.list_value_length(subject.data.table["negatives"]), 0)).as_py()
    ):
        return None
    judged = subject.judged
    rows = judged.positive & judged.trained
    rows = rows if rows.any() else judged.positive
    queries, documents = np.unique(judged.query[rows]), np.unique(judged.document[rows])
    if len(queries) < 2 or len(np.unique(subject.document_keys[documents])) > 1:
        return None
    fix = "give the queries positives of their own; whatever is trained on these learns nothing"
    return Finding(
        "one-positive",
        ERROR,
        len(queries),
        len(queries),
        subject.show_document(int(documents[0])),
        fix,
    )
