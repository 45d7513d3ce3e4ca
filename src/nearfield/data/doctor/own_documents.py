"""Queries that are documents of the collection, and would find themselves."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from nearfield.data.arrow import positions
from nearfield.data.doctor.check import COLLECTION, COPIES, Found, check
from nearfield.data.doctor.subject import Subject
from nearfield.data.doctor.words import digests, normalised
from nearfield.types.arrays import Positions
from nearfield.types.finding import NOTE, WARNING


@check(COLLECTION)
def own_documents(subject: Subject) -> Found | None:
    """Queries with the id of a document that is not judged relevant to them, which is left out of
    their rankings.

    A note where the query stands in it; a warning where one has another text: then ids may only
    have been numbered alike.
    """
    own = _own(subject)
    found = np.flatnonzero(own >= 0)
    if not len(found):
        return None
    other = []
    for row in found.tolist():
        document = normalised(subject.documents[int(own[row])])
        if normalised(subject.queries[row]) not in document:
            other.append(row)
    if other:
        example = (
            f"{subject.show_query(other[0])} has the id of "
            f"{subject.show_document(int(own[other[0]]))}"
        )
        fix = (
            "the document is left out of its query's ranking: give the queries other ids where "
            "they are not these"
        )
        return Found(WARNING, len(other), len(own), example, fix)
    fix = "nothing: the document is left out of the ranking of its query, as BEIR does"
    example = f"{subject.show_query(int(found[0]))} is a document, too"
    return Found(NOTE, len(found), len(own), example, fix)


@check(
    COLLECTION,
    COPIES,
    fix=(
        "give the query the id of its document, so that its rankings leave it out, or "
        "judge or remove the document"
    ),
)
def queries_among_documents(subject: Subject) -> Found | None:
    """Queries whose text is a document's of another id that is not judged relevant: the query finds
    itself, which counts as wrong.
    """
    keys = digests(map(normalised, subject.queries))
    texts = subject.document_keys
    # of the texts that any query has, the documents with that text
    alike = defaultdict(list)
    for document in np.flatnonzero(np.isin(texts, keys)).tolist():
        alike[int(texts[document])].append(document)
    judged = subject.judged
    own = _own(subject)
    relevant = set(judged.pairs)
    wrong = []
    for query in judged.answered.tolist():
        if not normalised(subject.queries[query]):
            continue
        for document in alike[int(keys[query])]:
            if document != own[query] and (query, document) not in relevant:
                wrong.append((query, document))
                break
    if not wrong:
        return None
    query, document = wrong[0]
    example = (
        f"{subject.show_query(query)} is {subject.name_document(document)}, too, which is "
        "not judged relevant"
    )
    return Found(WARNING, len(wrong), len(judged.answered), example)


def _own(subject: Subject) -> Positions:
    """(queries,) the position of the document of the query's own id, -1 where there is none and
    where it is judged relevant.
    """
    own = positions(subject.collection.queries["id"], subject.collection.documents["id"])
    # an answer is not the query itself: then the two were only numbered alike
    query = subject.judged.positive_query
    own[query[own[query] == subject.judged.positive_document]] = -1
    return own
