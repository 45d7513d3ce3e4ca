"""What the words that queries share with their documents say of the data: all, or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.data.doctor.check import ALL, BOTH, COLLECTION, Found, check
from nearfield.data.doctor.subject import Subject, sample
from nearfield.data.pairs import Pairs
from nearfield.types.arrays import Positions
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
    rows = judged.positives_of(~judged.trained)
    queries = np.unique(judged.query[rows])
    if subject.first is None or len(queries) < _FEWEST:
        return None
    asked = queries[sample(len(queries), _QUERIES)]
    rows = rows & np.isin(judged.query, asked)
    relevant = np.unique(judged.document[rows])
    pairs = set(zip(judged.query[rows].tolist(), judged.document[rows].tolist(), strict=True))
    texts = [subject.queries[int(query)] for query in asked]
    for most in _POOLS:
        # the relevant documents are in every pool, so that each query can be answered
        pool = np.union1d(relevant, sample(len(subject.documents), most))
        found = subject.first(subject.documents[pool], texts)
        places = np.where(found >= 0, pool[found], -1)
        ranked = zip(asked.tolist(), places.tolist(), strict=True)
        answered = [query for query, document in ranked if (query, document) in pairs]
        if len(answered) < _EASY * len(asked):
            return None
        if len(pool) == len(subject.documents):
            break
    among = ""
    if len(pool) < len(subject.documents):
        among = f", among {len(pool):,} of the {len(subject.documents):,} documents"
    example = (
        f"BM25 ranks a relevant document first for {len(answered) / len(asked):.0%}{among}; "
        f"{subject.show_query(answered[0])}"
    )
    return Found(WARNING, len(answered), len(asked), example)


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
    queries = [subject.queries[int(at)] for at in judged.query[rows]]
    documents = [subject.documents[int(at)] for at in judged.document[rows]]
    asked = [frozenset(words(text)) for text in queries]
    given = [frozenset(words(text)) for text in documents]
    counts = Counter(chain.from_iterable(given))  # of each word, the documents that have it
    known = [len(text & counts.keys()) / max(1, len(text)) for text in asked]
    if sum(known) < _KNOWN * max(1, len(rows)):
        return None
    if not _unrelated(lambda shift: _shared(asked, given, counts, shift), len(rows)):
        return None
    severity = WARNING
    if subject.model is not None and subject.model.similarities is not None:
        near = subject.model.similarities(queries, documents)
        own = np.arange(len(rows))
        if not _unrelated(lambda shift: near[own, (own + shift) % len(rows)], len(rows)):
            return None
        severity = ERROR
    query = int(judged.query[rows[0]])
    document = int(judged.document[rows[0]])
    example = f"{subject.show_query(query)} has the positive {subject.show_document(document)}"
    return Found(severity, len(rows), len(rows), example)


def _sampled(subject: Subject) -> Positions:
    """The places of up to 1,000 positive judgements, those of train where it has any."""
    judged = subject.judged
    rows = np.flatnonzero(judged.positives_of(judged.trained))
    # one pair for each document, so that class names are few
    _, firsts = np.unique(subject.document_keys[judged.document[rows]], return_index=True)
    return rows[np.sort(firsts)][sample(len(firsts), _PAIRS)]


def _unrelated(by: Callable[[int], npt.NDArray[Any]], rows: int) -> bool:
    """Whether n texts belong no more to their own rows than to those a third and two thirds further
    on, where `by` gives (n,) how much they do to those so many rows further on.
    """
    more = by(0) - (by(rows // 3) + by(2 * rows // 3)) / 2
    effect = more.mean() / max(more.std(), 1e-9)  # in standard deviations (Cohen's d of pairs)
    return bool(effect + 2 / np.sqrt(rows) < _RELATED)


def _shared(
    asked: list[frozenset[str]], given: list[frozenset[str]], counts: Counter[str], shift: int
) -> npt.NDArray[np.float64]:
    """(n,) the weight of the words that each text shares with the one `shift` rows further on."""
    rows = len(given)
    weights = np.zeros(rows)
    for at, text in enumerate(asked):
        common = text & given[(at + shift) % rows]
        weights[at] = sum(np.log(rows / counts[word]) for word in common)
    return weights
