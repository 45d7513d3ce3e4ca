"""Positives that look like negatives, and positives that their query gives away."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from nearfield.data.doctor.subject import ModelFacts, Subject, first_of_each, sample
from nearfield.data.doctor.words import normalised, wording
from nearfield.data.pairs import Pairs
from nearfield.types.finding import ERROR, NOTE, WARNING, Finding

_SAMPLE = 2000  # judged pairs whose texts are compared
_MOST = 0.5  # share of positives with their query inside from which on the task is copying
_COPIES = 0.9  # share of pairs that are copies from which on the columns are the same
_SENTENCE = 4  # a query of fewer words stands in many texts anyway


def false_negatives(subject: Subject, model: ModelFacts | None) -> Finding | None:
    """Queries with an unjudged document that equals or nearly equals one of their positives:
    finding it counts as wrong.
    """
    judged = subject.judged
    group = first_of_each(subject.document_keys)
    members, neighbours = defaultdict(list), defaultdict(list)
    for row, first in enumerate(group.tolist()):
        members[first].append(row)
    for one, other in zip(
        subject.near_documents.first.tolist(), subject.near_documents.second.tolist(), strict=True
    ):
        neighbours[one].append(other)
        neighbours[other].append(one)
    seen = set(zip(judged.query.tolist(), judged.document.tolist(), strict=True))
    wrong: dict[int, tuple[int, int]] = {}
    for query, document in zip(
        judged.query[judged.positive].tolist(),
        judged.document[judged.positive].tolist(),
        strict=True,
    ):
        if query not in wrong:
            alike = (
                row
                for first in (int(group[document]), *neighbours[int(group[document])])
                for row in members[first]
            )
            unjudged = next((row for row in alike if (query, row) not in seen), None)
            if unjudged is not None:
                wrong[query] = document, unjudged
    if not wrong:
        return None
    query, (document, unjudged) = next(iter(wrong.items()))
    unjudged_name, positive = subject.name_document(unjudged), subject.show_document(document)
    example = (
        f"{subject.show_query(query)}: {unjudged_name} is not judged and nearly equals its "
        f"positive {positive}"
    )
    total = len(np.unique(judged.query[judged.positive]))
    return Finding(
        "false-negatives",
        WARNING,
        len(wrong),
        total,
        example,
        "judge these documents too, or remove the near-duplicates",
    )


def query_is_document(subject: Subject, model: ModelFacts | None) -> Finding | None:
    """Queries that are their own positive, word for word: nothing is learnt from them, and nothing
    measured; an error from 90 % on.
    """
    if _scored(subject):
        return None
    judged = subject.judged
    pairs = list(
        zip(
            judged.query[judged.positive].tolist(),
            judged.document[judged.positive].tolist(),
            strict=True,
        )
    )
    wrong = [pair for pair in pairs if _equal(subject.queries[pair[0]], subject.documents[pair[1]])]
    if not wrong:
        return None
    example = f"{subject.show_query(wrong[0][0])} equals {subject.name_document(wrong[0][1])}"
    fix = "remove these pairs, or cut the query out of its document"
    severity = ERROR if len(wrong) >= _COPIES * len(pairs) else WARNING
    return Finding("query-is-document", severity, len(wrong), len(pairs), example, fix)


def query_in_document(subject: Subject, model: ModelFacts | None) -> Finding | None:
    """Positives that contain their query (of four words or more) word for word, where most do; on
    an even sample of 2,000.
    """
    if _scored(subject):
        return None
    judged = subject.judged
    rows = np.flatnonzero(judged.positive)
    rows = rows[sample(len(rows), _SAMPLE)]
    found = []
    for query, document in zip(
        judged.query[rows].tolist(), judged.document[rows].tolist(), strict=True
    ):
        text, whole = normalised(subject.queries[query]), normalised(subject.documents[document])
        if len(text.split()) >= _SENTENCE and text in whole and text != whole:
            found.append((query, document))
    if len(found) < _MOST * max(1, len(rows)):
        return None
    example = f"{subject.show_query(found[0][0])} stands in {subject.name_document(found[0][1])}"
    fix = "cut the query out of its document where real queries are not copied from documents"
    return Finding("query-in-document", NOTE, len(found), len(rows), example, fix)


def _scored(subject: Subject) -> bool:
    return isinstance(subject.data, Pairs) and subject.data.scored


def _equal(query: str, document: str) -> bool:
    return len(document) <= 2 * len(query) + 16 and wording(query) == wording(document) != ""
