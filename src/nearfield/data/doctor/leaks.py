"""What is held out but was seen in training.

A split whose name begins with `train` is trained on, every other one is held out. Two queries are
near copies when all words but one in eight (at least one) are the same and there are four words or
more: then one word changed, dropped, added or moved is seen.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nearfield.data.doctor.subject import ModelFacts, Subject, first_of_each
from nearfield.data.doctor.words import Rows, terms
from nearfield.types.finding import ERROR, NOTE, WARNING, Finding

_WORDS = 4  # with one word of three changed, a query asks something else
_WORDS_AN_EDIT = 8
_FEW = 0.01  # share of held-out queries up to which the same words with other positives are chance
_PEERS = 500  # training queries of one document that a held-out query is compared with
_MUCH = 0.1  # share of held-out queries about trained documents from which on it is a warning


@dataclass(frozen=True)
class _Parts:
    """Positions of queries, each ascending; a query may be in both. `others` are in two held-out
    splits.
    """

    train: Rows
    held: Rows
    others: Rows


def leaked_queries(subject: Subject, model: ModelFacts | None) -> Finding | None:
    """Held-out queries that are training queries too, whatever their case, blanks and punctuation.

    An error where one shares a positive with its copy, as its answer is then learnt by heart, and
    from 1 % of the held-out queries on; else a warning: a few short texts that ask for different
    documents. In two held-out splits: a warning.
    """
    parts, first = _parts(subject), _first(subject)
    leaked = parts.held[np.isin(first[parts.held], first[parts.train])]
    if len(leaked):
        learnt = {held: train for held, train in _rivals(subject) if first[held] == first[train]}
        query = next(iter(learnt), int(leaked[0]))
        source = learnt.get(query, int(parts.train[first[parts.train] == first[query]][0]))
        severe = bool(learnt) or len(leaked) >= _FEW * len(parts.held)
        positives = "with the same positive" if learnt else "with another positive"
        example = (
            f"{subject.show_query(query)} is held out, and trained on as "
            f"{subject.name_query(source)} {positives}"
        )
        fix = "remove them from the training split, or split again with `nearfield data split`"
        return Finding(
            "leaked-queries",
            ERROR if severe else WARNING,
            len(leaked),
            len(parts.held),
            example,
            fix,
        )
    if len(parts.others):
        example = f"{subject.show_query(int(parts.others[0]))} is in two held-out splits"
        fix = "keep each query in one split, or split again with `nearfield data split`"
        return Finding("leaked-queries", WARNING, len(parts.others), len(parts.held), example, fix)
    return None


def near_leaked_queries(subject: Subject, model: ModelFacts | None) -> Finding | None:
    """Held-out queries of which a near copy is trained on with the same positive (or an exact copy
    of it).

    A warning: one word may turn a claim into its opposite, which is another query, though the
    answer is learnt all the same.
    """
    leaked = near_leaks(subject)
    if not leaked:
        return None
    query, source = next(iter(leaked.items()))
    example = (
        f"{subject.show_query(query)} is held out; trained on with the same positive is "
        f"{subject.show_query(source)}"
    )
    fix = (
        "keep both in one split: split again with `nearfield data split`, which keeps a "
        "document's queries together"
    )
    return Finding(
        "near-leaked-queries", WARNING, len(leaked), len(_parts(subject).held), example, fix
    )


def similar_queries_across_splits(subject: Subject, model: ModelFacts | None) -> Finding | None:
    """Held-out queries that are nearly a training query with other positives: one template filled
    twice, or a missing judgement.
    """
    parts, first, near = _parts(subject), _first(subject), subject.near_queries
    train, held = np.unique(first[parts.train]), np.unique(first[parts.held])
    pairs = np.concatenate(
        [np.stack([near.first, near.second]), np.stack([near.second, near.first])], axis=1
    )
    pairs = pairs[:, np.isin(pairs[0], held) & np.isin(pairs[1], train)]
    known = {int(first[query]) for query in near_leaks(subject)}
    pairs = pairs[:, ~np.isin(pairs[0], list(known))]
    if not pairs.size:
        return None
    example = (
        f"{subject.show_query(int(pairs[0, 0]))} is held out; trained on is "
        f"{subject.show_query(int(pairs[1, 0]))}"
    )
    fix = (
        "look at some: where they ask the same, keep them in one split and judge their "
        "positives alike"
    )
    return Finding(
        "similar-queries-across-splits",
        NOTE,
        len(np.unique(pairs[0])),
        len(parts.held),
        example,
        fix,
    )


def shared_documents(subject: Subject, model: ModelFacts | None) -> Finding | None:
    """Held-out queries about a document that is a training query's positive: the score is one on
    documents seen in training.
    """
    parts, judged = _parts(subject), subject.judged
    document = first_of_each(subject.document_keys)
    positive = np.flatnonzero(judged.positive)
    trained = judged.trained[positive]
    known = np.isin(
        document[judged.document[positive]], document[judged.document[positive[trained]]]
    )
    seen = positive[known & ~trained]
    count = len(np.unique(judged.query[seen]))
    if not count:
        return None
    query, shared = int(judged.query[seen[0]]), int(judged.document[seen[0]])
    example = (
        f"{subject.show_query(query)} is held out; its positive "
        f"{subject.name_document(shared)} is trained on"
    )
    fix = "where new documents are to be found, split again by document with `nearfield data split`"
    return Finding(
        "shared-documents",
        WARNING if count >= _MUCH * len(parts.held) else NOTE,
        count,
        len(parts.held),
        example,
        fix,
    )


def near_leaks(subject: Subject) -> dict[int, int]:
    """Held-out query -> a training query that is its near copy and shares a positive; exact copies
    are left out.
    """
    first = _first(subject)
    texts: dict[int, Counter[str]] = {}
    leaked: dict[int, int] = {}
    for held, train in _rivals(subject):
        if held in leaked or first[held] == first[train]:
            continue
        for query in (held, train):
            if query not in texts:
                texts[query] = Counter(terms(subject.queries[query]))
        if _near_copy(texts[held], texts[train]):
            leaked[held] = train
    return leaked


def _rivals(subject: Subject) -> Iterator[tuple[int, int]]:
    """Held-out and training queries that share a positive, exact copies of documents counting as
    one.
    """
    judged = subject.judged
    document = first_of_each(subject.document_keys)
    peers: tuple[defaultdict[int, dict[int, None]], ...] = (defaultdict(dict), defaultdict(dict))
    for row in np.flatnonzero(judged.positive).tolist():
        peers[int(judged.trained[row])][int(document[judged.document[row]])][
            int(judged.query[row])
        ] = None
    for shared, held in peers[0].items():
        train = list(peers[1].get(shared, ()))[:_PEERS]
        yield from ((query, other) for query in held for other in train)


def _near_copy(one: Counter[str], other: Counter[str]) -> bool:
    longest = max(one.total(), other.total())
    edits = max(1, longest // _WORDS_AN_EDIT)
    return (
        longest >= _WORDS
        and abs(one.total() - other.total()) <= edits
        and longest - (one & other).total() <= edits
    )


def _first(subject: Subject) -> Rows:
    """For each query the first with the same wording."""
    return first_of_each(subject.query_keys)


def _parts(subject: Subject) -> _Parts:
    judged = subject.judged
    known = judged.query >= 0
    train, held = (
        np.unique(judged.query[known & judged.trained]),
        np.unique(judged.query[known & ~judged.trained]),
    )
    train, held = (
        rows[[bool(subject.queries[int(row)].strip()) for row in rows]] for rows in (train, held)
    )
    first, others = _first(subject), np.zeros(0, dtype=np.int64)
    if len(held):
        places = np.unique(
            np.stack(
                [
                    first[judged.query[known & ~judged.trained]],
                    judged.split[known & ~judged.trained],
                ]
            ),
            axis=1,
        )
        wording, count = np.unique(places[0], return_counts=True)
        others = held[np.isin(first[held], wording[count > 1])]
    return _Parts(train, held, others)
