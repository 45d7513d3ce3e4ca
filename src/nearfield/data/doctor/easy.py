"""What the words that queries share with their documents say of the data: all, or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.data.doctor.check import ALL, BOTH, COLLECTION, Found, check
from nearfield.data.doctor.subject import Subject, sample
from nearfield.data.doctor.words import Rows
from nearfield.data.pairs import Pairs
from nearfield.types.finding import ERROR, WARNING
from nearfield.types.word_rule import words

_QUERIES = 300  # that are asked: a share of nine in ten is known to 3.4 points
_FEWEST = 20  # queries: fewer say nothing about a share
_EASY = 0.9
# documents: more can only be harder, so that where few are not easy, no more are read
_POOLS = (2_000, 20_000, 200_000)
_PAIRS = 1000  # whose words are compared
_KNOWN = 0.5  # share of the queries' words that documents have: columns of one language
# standard deviations by which a pair shares more than texts that do not belong together: 17 real
# sets of one language have .38 to 2.32, shuffled ones up to .05
_RELATED = 0.25


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


@check(
    BOTH,
    fix=(
        "check that both columns were sorted and joined alike: in each row, the positive must "
        "belong to its query"
    ),
)
def shuffled_pairs(subject: Subject) -> Found | None:
    """Queries that share no more words with their own positives than with other rows', so that one
    of the columns may have been sorted or shuffled by itself; on an even sample of 1,000 pairs.

    Words weigh as they are rare. It is said where two standard errors leave the difference below a
    quarter of its standard deviation, which takes 64 pairs or more. Texts may belong together
    without a common word: words alone are a warning, and with a model it is an error where its
    similarities say the same, and nothing where they do not. Columns that share few words (other
    languages, class names) and scored pairs are left alone.
    """
    judged = subject.judged
    if isinstance(subject.data, Pairs) and subject.data.scored:
        return None
    rows = _sampled(subject)
    documents = judged.document[rows]
    asked = [frozenset(words(subject.queries[int(at)])) for at in judged.query[rows]]
    given = [frozenset(words(subject.documents[int(at)])) for at in documents]
    counts = Counter(word for text in given for word in text)
    known = [sum(word in counts for word in text) / max(1, len(text)) for text in asked]
    if sum(known) < _KNOWN * max(1, len(rows)):
        return None
    if not _unrelated(lambda shift: _shared(asked, given, counts, shift), len(rows)):
        return None
    severity = WARNING
    if subject.model is not None and subject.model.similarities is not None:
        near = subject.model.similarities(
            [subject.queries[int(at)] for at in judged.query[rows]],
            [subject.documents[int(at)] for at in documents],
        )
        own = np.arange(len(rows))
        if not _unrelated(lambda shift: near[own, (own + shift) % len(rows)], len(rows)):
            return None
        severity = ERROR
    query = int(judged.query[rows[0]])
    document = int(documents[0])
    example = f"{subject.show_query(query)} has the positive {subject.show_document(document)}"
    return Found(severity, len(rows), len(rows), example)


def _sampled(subject: Subject) -> npt.NDArray[np.int64]:
    """The places of up to 1,000 positive judgements, those of train where it has any."""
    judged = subject.judged
    rows = np.flatnonzero(judged.positive & judged.trained)
    if not len(rows):
        rows = np.flatnonzero(judged.positive)
    # one pair for each document, so that class names are few
    rows = rows[np.unique(subject.document_keys[judged.document[rows]], return_index=True)[1]]
    return np.sort(rows)[sample(len(rows), _PAIRS)]


def _unrelated(by: Callable[[int], npt.NDArray[Any]], rows: int) -> bool:
    """Whether n texts belong no more to their own rows than to those a third and two thirds further
    on, where `by` gives (n,) how much they do to those so many rows further on.
    """
    more = by(0) - (by(rows // 3) + by(2 * rows // 3)) / 2
    return bool(more.mean() / max(more.std(), 1e-9) + 2 / np.sqrt(rows) < _RELATED)


def _shared(
    asked: list[frozenset[str]], given: list[frozenset[str]], counts: Counter[str], shift: int
) -> npt.NDArray[np.float64]:
    """(n,) the weight of the words that each text shares with the one `shift` rows further on."""
    rows = len(given)
    return np.array(
        [
            sum(np.log(rows / counts[word]) for word in text & given[(at + shift) % rows])
            for at, text in enumerate(asked)
        ],
        np.float64,
    )
