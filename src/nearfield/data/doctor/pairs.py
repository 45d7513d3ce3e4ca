"""Rows of pairs that repeat or contradict each other, and rows without negatives."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from nearfield.data.doctor.check import ALL, COPIES, PAIRS, Found, check
from nearfield.data.doctor.duplicates import severity_of
from nearfield.data.doctor.minhash import (
    DOCUMENT_RUNS,
    DOCUMENT_THRESHOLD,
    QUERY_RUNS,
    QUERY_THRESHOLD,
    near_duplicates,
    true_jaccard,
)
from nearfield.data.doctor.subject import Subject, first_of_each, shorten
from nearfield.data.doctor.words import Hashes, Shingler, digests, wording
from nearfield.types.finding import ERROR, NOTE, WARNING

_JOINED_THRESHOLD = 0.7  # of query and positive together, before each is looked at by itself


@check(
    PAIRS,
    COPIES,
    fix="remove the repeated rows; in a batch, each makes its copy's positive a negative",
)
def duplicate_pairs(subject: Subject) -> Found | None:
    """Rows whose query and positive both equal those of an earlier row; an error from 10 % on."""
    first = first_of_each(_row_keys(subject))
    copies = np.flatnonzero(first != np.arange(len(first)))
    if not len(copies):
        return None
    row = int(copies[0])
    example = (
        f"{subject.show_query(row)} with {shorten(subject.documents[row])} repeats row "
        f"{first[row] + 1}"
    )
    return Found(severity_of(copies, len(first)), len(copies), len(first), example)


@check(PAIRS, ALL, fix="keep one of each pair of rows that say the same")
def near_duplicate_pairs(subject: Subject) -> Found | None:
    """Rows whose query and whose positive are both nearly those of an earlier row."""
    # candidates by both texts as one, then each side by its own threshold: searching each side
    # alone would find all rows of one template, or of one document
    rows = np.unique(first_of_each(_row_keys(subject)))
    joined = [f"{subject.queries[int(row)]} {subject.documents[int(row)]}" for row in rows]
    near = near_duplicates(joined, threshold=_JOINED_THRESHOLD, sizes=DOCUMENT_RUNS)
    first = rows[near.first]
    second = rows[near.second]
    queries = true_jaccard(subject.queries, first, second, Shingler(QUERY_RUNS))
    documents = true_jaccard(subject.documents, first, second, Shingler(DOCUMENT_RUNS))
    alike = (queries >= QUERY_THRESHOLD) & (documents >= DOCUMENT_THRESHOLD)
    if not alike.any():
        return None
    one = int(first[alike][0])
    other = int(second[alike][0])
    example = (
        f"{subject.show_query(other)} is nearly {subject.show_query(one)}, and so are their "
        "positives"
    )
    count = len(np.unique(second[alike]))
    return Found(WARNING, count, len(subject.queries), example)


@check(
    PAIRS,
    COPIES,
    fix=(
        "mask equal positives in the batch (`nearfield tune` does), or make a collection "
        "of the pairs"
    ),
)
def repeated_positives(subject: Subject) -> Found | None:
    """Positives that stand under several queries: each is a false negative when both rows meet in a
    batch.
    """
    if subject.pairs.scored:
        return None
    # a row that is there twice is another check's
    distinct = np.unique(first_of_each(_row_keys(subject)))
    first = distinct[first_of_each(subject.document_keys[distinct])]
    again = np.flatnonzero(first != distinct)
    if not len(again):
        return None
    row = int(distinct[again[0]])
    example = f"{subject.show_document(row)} is also the positive of row {first[again[0]] + 1}"
    return Found(NOTE, len(again), len(subject.documents), example)


@check(PAIRS, COPIES, fix="remove these negatives")
def positive_among_negatives(subject: Subject) -> Found | None:
    """Rows with a negative that is a positive of the same query, here or in another row."""
    negatives = subject.pairs.table["negatives"]
    rows = np.asarray(pc.list_parent_indices(negatives).to_numpy(), dtype=np.int64)
    if not len(rows):
        return None
    texts = pc.fill_null(pc.list_flatten(negatives), "").to_pylist()
    positives = _joined(subject.query_keys, digests(map(wording, subject.documents)))
    beside = _joined(subject.query_keys[rows], digests(map(wording, texts)))
    wrong = np.flatnonzero(np.isin(beside, positives))
    if not len(wrong):
        return None
    row = int(wrong[0])
    example = (
        f"{subject.show_query(int(rows[row]))} has {shorten(texts[row])} as positive and as "
        "negative"
    )
    count = len(np.unique(rows[wrong]))
    return Found(WARNING, count, len(subject.queries), example)


@check(PAIRS)
def no_negatives(subject: Subject) -> Found | None:
    """Rows without negatives: a note where no row has any, a warning where only some rows have."""
    pairs = subject.pairs
    counts = pc.fill_null(pc.list_value_length(pairs.table["negatives"]), 0).to_numpy()
    without = np.flatnonzero(counts == 0)
    if pairs.scored or not len(without):
        return None
    if len(without) == len(counts):
        fix = "mine hard negatives, or train on the other rows' positives alone"
        return Found(NOTE, len(without), len(counts), "no row has a negative", fix)
    fix = (
        "mine negatives for these rows too, or take all negatives out, so that all rows are "
        "trained on alike"
    )
    example = subject.show_query(int(without[0]))
    return Found(WARNING, len(without), len(counts), example, fix)


@check(PAIRS, COPIES, fix="mine hard negatives, or leave the column out")
def one_negative(subject: Subject) -> Found | None:
    """All rows have the same text as their negative, or one without words: what is learned from it
    is to avoid that text alone.
    """
    texts = pc.list_flatten(subject.pairs.table["negatives"])
    if len(texts) < 2:
        return None
    distinct = pc.unique(pc.fill_null(texts, ""))
    first = distinct[0].as_py()
    # read one at a time: in sound data the second one differs
    if any(wording(text.as_py()) != wording(first) for text in distinct):
        return None
    return Found(ERROR, len(texts), len(texts), f"each negative is {shorten(first)}")


@check(PAIRS, fix="give pairs of different scores: of one alone, nothing can be told apart")
def one_score(subject: Subject) -> Found | None:
    """All rows have the same score, or are of one class."""
    scores = pc.unique(subject.pairs.table["score"]).to_pylist()
    total = len(subject.queries)
    if not subject.pairs.scored or total < 2 or len(scores) > 1:
        return None
    return Found(ERROR, total, total, f"each score is {scores[0]:g}")


@check(PAIRS, COPIES, fix="keep one row of each, with the mean score")
def contradictory_scores(subject: Subject) -> Found | None:
    """Scored rows with the same two texts and another score."""
    pairs = subject.pairs
    if not pairs.scored:
        return None
    first = first_of_each(_row_keys(subject))
    scores = pairs.table["score"].to_numpy()
    wrong = np.flatnonzero(scores != scores[first])
    if not len(wrong):
        return None
    row = int(wrong[0])
    example = (
        f"{subject.show_query(row)} has score {scores[row]:g}, row {first[row] + 1} says "
        f"{scores[first[row]]:g}"
    )
    return Found(WARNING, len(wrong), len(first), example)


def _row_keys(subject: Subject) -> Hashes:
    return _joined(subject.query_keys, subject.document_keys)


def _joined(query: Hashes, document: Hashes) -> Hashes:
    """(n,) one key for a query and a document; exchanged, they have another."""
    return (query ^ (query >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15) + document
