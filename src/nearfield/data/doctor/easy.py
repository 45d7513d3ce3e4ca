"""Whether words alone answer the queries, so that models can hardly be told apart by them."""

from __future__ import annotations

import numpy as np

from nearfield.data.doctor.check import ALL, COLLECTION, Found, check
from nearfield.data.doctor.subject import Subject, sample
from nearfield.data.doctor.words import Rows
from nearfield.types.finding import WARNING

_QUERIES = 300  # that are asked: a share of nine in ten is known to 3.4 points
_FEWEST = 20  # queries: fewer say nothing about a share
_EASY = 0.9
# documents: more can only be harder, so that where few are not easy, no more are read
_POOLS = (2_000, 20_000, 200_000)


@check(
    COLLECTION,
    ALL,
    fix=(
        "measure on queries in other words than their documents': on these, models that "
        "find the meaning hardly differ from words"
    ),
)
def easy_queries(subject: Subject) -> Found | None:
    """Held-out queries for which BM25 already ranks a relevant document first, where they are nine
    in ten or more; on a sample of 300.

    Models that are no worse differ on the rest alone. How many queries it takes to show a
    difference goes with one over that rest: at nine in ten five times as many as where words answer
    half. Published sets that tell models apart have .2 to .6 (scifact .55, nfcorpus .46, cisi .51);
    the English XQuAD, where a paragraph is found by its question's words, has .93. Among more than
    200,000 documents the relevant ones are searched in so many, which the example says. Queries
    that stand in their document word for word are another check's, `query-in-document`.
    """
    judged = subject.judged
    rows = judged.positive & ~judged.trained
    rows = rows if rows.any() else judged.positive
    queries = np.unique(judged.query[rows])
    if subject.first is None or len(queries) < _FEWEST:
        return None
    asked = queries[sample(len(queries), _QUERIES)]
    rows &= np.isin(judged.query, asked)
    relevant = np.unique(judged.document[rows])
    texts = [subject.queries[int(query)] for query in asked]
    for most in _POOLS:
        pool = np.union1d(relevant, sample(len(subject.documents), most))
        found = subject.first(subject.documents[pool], texts)
        answered = _answered(
            asked, np.where(found >= 0, pool[found], -1), judged.query[rows], judged.document[rows]
        )
        if len(answered) < _EASY * len(asked):
            return None
        if len(pool) == len(subject.documents):
            break
    among = (
        ""
        if len(pool) == len(subject.documents)
        else (f", among {len(pool):,} of the {len(subject.documents):,} documents")
    )
    example = (
        f"BM25 ranks a relevant document first for {len(answered) / len(asked):.0%}{among}; "
        f"{subject.show_query(int(answered[0]))}"
    )
    return Found(WARNING, len(answered), len(asked), example)


def _answered(asked: Rows, found: Rows, queries: Rows, documents: Rows) -> Rows:
    """Those of the queries `asked` whose document in `found` is judged relevant: a pair of
    `queries` and `documents`.
    """
    relevant = set(zip(queries.tolist(), documents.tolist(), strict=True))
    return asked[[pair in relevant for pair in zip(asked.tolist(), found.tolist(), strict=True)]]
