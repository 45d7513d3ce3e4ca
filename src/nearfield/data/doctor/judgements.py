"""Judgements that point nowhere, that contradict each other, or that are not there."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pyarrow.compute as pc

from nearfield.data.doctor.check import BOTH, COLLECTION, COPIES, Found, check
from nearfield.data.doctor.subject import Subject
from nearfield.data.pairs import Pairs
from nearfield.types.finding import ERROR, NOTE, WARNING

_FEW = 0.01  # up to this share of judgements lost moves no mean by more than a hundredth


@check(
    COLLECTION,
    fix=(
        "add the missing queries and documents, or remove these judgements; check that "
        "the ids were not renumbered"
    ),
)
def unknown_ids(subject: Subject) -> Found | None:
    """Judgements whose query or document the collection does not have; an error above 1 %."""
    judged = subject.judged
    table = subject.collection.judgements
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
    return Found(severity, len(wrong), len(key), example)


@check(COLLECTION, COPIES, fix="keep one judgement for each query and document")
def contradictory_judgements(subject: Subject) -> Found | None:
    """A query and a document that are judged twice with two relevances."""
    judged = subject.judged
    known = (judged.query >= 0) & (judged.document >= 0)
    grades: dict[tuple[int, int], set[int]] = defaultdict(set)
    for query, document, relevance in zip(
        judged.query[known].tolist(),
        judged.document[known].tolist(),
        judged.relevance[known].tolist(),
        strict=True,
    ):
        grades[query, document].add(relevance)
    wrong = {pair: sorted(found) for pair, found in grades.items() if len(found) > 1}
    if not wrong:
        return None
    (query, document), (one, other, *_) = next(iter(wrong.items()))
    example = (
        f"{subject.show_query(query)} and {subject.name_document(document)} have relevance {one} "
        f"and {other}"
    )
    count = sum(map(len, wrong.values())) - len(wrong)  # those beyond one for each pair
    return Found(WARNING, count, int(known.sum()), example)


@check(
    COLLECTION,
    fix=(
        "judge a relevant document for each, or remove the queries; they are neither "
        "trained on nor measured"
    ),
)
def queries_without_positive(subject: Subject) -> Found | None:
    """Queries with no relevant document: an error when that is all of them, a warning where they
    were judged, else a note.
    """
    judged = subject.judged
    count = len(subject.queries)
    answered = np.zeros(count, dtype=bool)
    answered[judged.answered] = True
    if answered.all():
        return None
    # worse than none are judgements that found nothing: somebody looked, or the grades are wrong
    looked_for = np.zeros(count, dtype=bool)
    looked_for[judged.query[judged.query >= 0]] = True
    in_vain = np.flatnonzero(looked_for & ~answered)
    severity = NOTE
    row = int(np.flatnonzero(~answered)[0])
    has = "no judgement"
    if len(in_vain):
        severity = WARNING
        row = int(in_vain[0])
        has = "judgements, none above 0"
    if not answered.any():
        severity = ERROR
    example = f"{subject.show_query(row)} has {has}"
    return Found(severity, int((~answered).sum()), count, example)


@check(
    BOTH,
    COPIES,
    fix="give the queries positives of their own; whatever is trained on these learns nothing",
)
def one_positive(subject: Subject) -> Found | None:
    """All queries that are trained on have the same document as their positive: there is nothing to
    tell it from.
    """
    if isinstance(subject.data, Pairs):
        # scores, or negatives beside it, are something to learn from all the same
        negatives = pc.list_value_length(subject.data.table["negatives"])
        if subject.data.scored or pc.any(pc.greater(negatives, 0)).as_py():
            return None
    judged = subject.judged
    rows = judged.positives_of(judged.trained)
    queries = np.unique(judged.query[rows])
    documents = np.unique(judged.document[rows])
    if len(queries) < 2 or len(np.unique(subject.document_keys[documents])) > 1:
        return None
    example = subject.show_document(int(documents[0]))
    return Found(ERROR, len(queries), len(queries), example)
