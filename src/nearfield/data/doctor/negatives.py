"""Positives that look like negatives, and positives that their query gives away."""

from __future__ import annotations

from collections import defaultdict

from nearfield.data.doctor.check import ALL, BOTH, COLLECTION, Found, check
from nearfield.data.doctor.subject import Subject, sample
from nearfield.data.doctor.words import normalised, wording
from nearfield.data.pairs import Pairs
from nearfield.types.finding import ERROR, NOTE, WARNING

_SAMPLE = 2000  # judged pairs whose texts are compared
_MOST = 0.5  # share of positives with their query inside from which on the task is copying
_COPIES = 0.9  # share of pairs that are copies from which on the columns are the same
_SENTENCE = 4  # a query of fewer words stands in many texts anyway


@check(COLLECTION, ALL, fix="judge these documents too, or remove the near-duplicates")
def false_negatives(subject: Subject) -> Found | None:
    """Queries with an unjudged document that equals or nearly equals one of their positives:
    finding it counts as wrong.
    """
    judged = subject.judged
    # exact copies are a group, which goes by its first document; near copies join two groups
    group = subject.first_documents.tolist()
    members = defaultdict(list)
    for row, first in enumerate(group):
        members[first].append(row)
    neighbours = defaultdict(list)
    near = subject.near_documents
    for one, other in zip(near.first.tolist(), near.second.tolist(), strict=True):
        neighbours[one].append(other)
        neighbours[other].append(one)
    seen = set(zip(judged.query.tolist(), judged.document.tolist(), strict=True))
    wrong: dict[int, tuple[int, int]] = {}
    for query, document in judged.pairs:
        if query in wrong:
            continue
        own = group[document]
        for first in (own, *neighbours[own]):
            unjudged = [row for row in members[first] if (query, row) not in seen]
            if unjudged:
                wrong[query] = document, unjudged[0]
                break
    if not wrong:
        return None
    query, (document, copy) = next(iter(wrong.items()))
    example = (
        f"{subject.show_query(query)}: {subject.name_document(copy)} is not judged and nearly "
        f"equals its positive {subject.show_document(document)}"
    )
    return Found(WARNING, len(wrong), len(judged.answered), example)


@check(BOTH, fix="remove these pairs, or cut the query out of its document")
def query_is_document(subject: Subject) -> Found | None:
    """Queries that are their own positive, word for word: nothing is learnt from them, and nothing
    measured; an error from 90 % on.
    """
    if _scored(subject):
        return None
    pairs = subject.judged.pairs
    wrong = []
    for query, document in pairs:
        if _equal(subject.queries[query], subject.documents[document]):
            wrong.append((query, document))
    if not wrong:
        return None
    query, document = wrong[0]
    example = f"{subject.show_query(query)} equals {subject.name_document(document)}"
    severity = ERROR if len(wrong) >= _COPIES * len(pairs) else WARNING
    return Found(severity, len(wrong), len(pairs), example)


@check(BOTH, fix="cut the query out of its document where real queries are not copied from them")
def query_in_document(subject: Subject) -> Found | None:
    """Positives that contain their query (of four words or more) word for word, where most do; on
    an even sample of 2,000.
    """
    if _scored(subject):
        return None
    pairs = subject.judged.pairs
    rows = sample(len(pairs), _SAMPLE).tolist()
    found = []
    for row in rows:
        query, document = pairs[row]
        text = normalised(subject.queries[query])
        whole = normalised(subject.documents[document])
        if len(text.split()) >= _SENTENCE and text in whole and text != whole:
            found.append((query, document))
    if len(found) < _MOST * max(1, len(rows)):
        return None
    example = f"{subject.show_query(found[0][0])} stands in {subject.name_document(found[0][1])}"
    return Found(NOTE, len(found), len(rows), example)


def _scored(subject: Subject) -> bool:
    return isinstance(subject.data, Pairs) and subject.data.scored


def _equal(query: str, document: str) -> bool:
    # a far longer document cannot be the same, and need not be normalised
    if len(document) > 2 * len(query) + 16:
        return False
    return wording(query) == wording(document) != ""
