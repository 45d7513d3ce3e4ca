"""Documents and queries that are there more than once, exactly or nearly."""

from __future__ import annotations

import numpy as np

from nearfield.data.doctor.check import ALL, COLLECTION, COPIES, Found, check
from nearfield.data.doctor.minhash import NearPairs
from nearfield.data.doctor.subject import Subject
from nearfield.types.arrays import Positions
from nearfield.types.finding import ERROR, NOTE, WARNING

# from this share of copies on, rankings are filled with them and unjudged copies of positives count
# as wrong
LARGE = 0.1


@check(
    COLLECTION, COPIES, fix="remove the copies, or judge each copy of a positive as a positive too"
)
def duplicate_documents(subject: Subject) -> Found | None:
    """Documents equal to an earlier one but for case and blanks; an error from 10 % of the corpus
    on.
    """
    first = subject.first_documents
    copies = np.flatnonzero(first != np.arange(len(first)))
    if not len(copies):
        return None
    example = (
        f"{subject.show_document(int(copies[0]))} equals "
        f"{subject.name_document(int(first[copies[0]]))}"
    )
    return Found(severity_of(copies, len(first)), len(copies), len(first), example)


@check(
    COLLECTION,
    ALL,
    fix=(
        "keep one of each, or judge them alike; split with `nearfield data split` so that "
        "they fall into one split"
    ),
)
def near_duplicate_documents(subject: Subject) -> Found | None:
    """Documents that share four fifths of their word triples with an earlier one; an error from 10
    % of the corpus on.
    """
    near = subject.near_documents
    total = len(subject.documents)
    if not len(near):
        return None
    copies = np.unique(near.second)
    first, second = closest(near)
    example = (
        f"{subject.show_document(second)} is {near.similarity.max():.0%} "
        f"{subject.show_document(first)}"
    )
    return Found(severity_of(copies, total), len(copies), total, example)


@check(
    COLLECTION, COPIES, fix="merge each with its copies into one query that has all their positives"
)
def duplicate_queries(subject: Subject) -> Found | None:
    """Queries equal to an earlier one but for case, blanks and punctuation."""
    first = subject.first_queries
    copies = np.flatnonzero(first != np.arange(len(first)))
    if not len(copies):
        return None
    example = (
        f"{subject.show_query(int(copies[0]))} equals {subject.name_query(int(first[copies[0]]))}"
    )
    return Found(WARNING, len(copies), len(first), example)


@check(
    COLLECTION,
    ALL,
    fix=(
        "merge those that ask the same; the others hold fewer independent questions than "
        "their number says"
    ),
)
def near_duplicate_queries(subject: Subject) -> Found | None:
    """Queries that share four fifths of their words and word pairs with an earlier one: a note, as
    many are one template filled twice.
    """
    near = subject.near_queries
    if not len(near):
        return None
    first, second = closest(near)
    example = f"{subject.show_query(second)} is nearly {subject.show_query(first)}"
    return Found(NOTE, len(np.unique(near.second)), len(subject.queries), example)


def closest(near: NearPairs) -> tuple[int, int]:
    """The most similar pair, the first of several."""
    best = int(near.similarity.argmax())
    return int(near.first[best]), int(near.second[best])


def severity_of(copies: Positions, total: int) -> str:
    """An error from 10 % of copies on, else a warning."""
    return ERROR if len(copies) >= LARGE * total else WARNING
