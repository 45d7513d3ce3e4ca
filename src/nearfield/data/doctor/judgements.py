"""Judgements that point nowhere, that contradict each other, or that are not there."""

from __future__ import annotations

import numpy as np

from nearfield.data.collection import Collection
from nearfield.data.doctor.subject import ModelFacts, Subject
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
    example = f"split {table['split'][row].as_py()!r} judges {part} {table[part][row].as_py()!r}, which is not there"
    severity = ERROR if len(wrong) > _FEW * len(key) else WARNING
    mend = "add the missing queries and documents, or remove these judgements; check that the ids were not renumbered"
    return Finding("unknown-ids", severity, len(wrong), len(key), example, mend)


def contradictory_judgements(subject: Subject, model: ModelFacts | None) -> Finding | None:
    """A query and a document that are judged twice with two relevances."""
    judged = subject.judged
    known = np.flatnonzero((judged.query >= 0) & (judged.document >= 0))
    pair = judged.query[known] * len(subject.documents) + judged.document[known]
    order = known[np.lexsort((judged.relevance[known], pair))]
    same = (judged.query[order[1:]] == judged.query[order[:-1]]) & (judged.document[order[1:]] == judged.document[order[:-1]])
    wrong = np.flatnonzero(same & (judged.relevance[order[1:]] != judged.relevance[order[:-1]]))
    if not len(wrong):
        return None
    one, other = int(order[wrong[0]]), int(order[wrong[0] + 1])
    query, document = int(judged.query[one]), int(judged.document[one])
    grades = f"relevance {judged.relevance[one]} and {judged.relevance[other]}"
    example = f"{subject.show_query(query)} and {subject.name_document(document)} have {grades}"
    return Finding("contradictory-judgements", WARNING, len(wrong), len(known), example, "keep one judgement for each query and document")


def queries_without_positive(subject: Subject, model: ModelFacts | None) -> Finding | None:
    """Queries with no relevant document: an error when that is all of them, a warning where they were judged, else a note."""
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
    example = f"{subject.show_query(row)} has {'judgements, none above 0' if len(refused) else 'no judgement'}"
    mend = "judge a relevant document for each, or remove the queries; they are neither trained on nor measured"
    return Finding("queries-without-positive", severity, int((~answered).sum()), count, example, mend)
