"""What is held out but was seen in training.

A split whose name begins with `train` is trained on, every other one is held out. Two queries are
near copies when all words but one in eight (at least one) are the same and there are four words or
more: then one word changed, dropped, added or moved is seen.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from nearfield.data.doctor.check import ALL, COLLECTION, COPIES, Found, check
from nearfield.data.doctor.subject import Subject
from nearfield.data.doctor.words import terms
from nearfield.types.arrays import Positions
from nearfield.types.finding import ERROR, NOTE, WARNING

_WORDS = 4  # with one word of three changed, a query asks something else
_WORDS_AN_EDIT = 8  # one word in so many may differ, and one at least
_FEW = 0.01  # share of held-out queries up to which the same words with other positives are chance
_PEERS = 500  # training queries of one document that a held-out query is compared with
_MUCH = 0.1  # share of held-out queries about trained documents from which on it is a warning


@dataclass(frozen=True)
class _Parts:
    """Positions of queries, each ascending; a query may be in both. `others` are in two held-out
    splits.
    """

    train: Positions
    held: Positions
    others: Positions


@check(COLLECTION, COPIES)
def leaked_queries(subject: Subject) -> Found | None:
    """Held-out queries that are training queries too, whatever their case, blanks and punctuation.

    An error where one shares a positive with its copy, as its answer is then learnt by heart, and
    from 1 % of the held-out queries on; else a warning: a few short texts that ask for different
    documents. In two held-out splits: a warning.
    """
    parts = _parts(subject)
    first = subject.first_queries
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
        return Found(ERROR if severe else WARNING, len(leaked), len(parts.held), example, fix)
    if len(parts.others):
        example = f"{subject.show_query(int(parts.others[0]))} is in two held-out splits"
        fix = "keep each query in one split, or split again with `nearfield data split`"
        return Found(WARNING, len(parts.others), len(parts.held), example, fix)
    return None


@check(
    COLLECTION,
    ALL,
    fix=(
        "keep both in one split: split again with `nearfield data split`, which keeps a "
        "document's queries together"
    ),
)
def near_leaked_queries(subject: Subject) -> Found | None:
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
    return Found(WARNING, len(leaked), len(_parts(subject).held), example)


@check(
    COLLECTION,
    ALL,
    fix=(
        "look at some: where they ask the same, keep them in one split and judge their "
        "positives alike"
    ),
)
def similar_queries_across_splits(subject: Subject) -> Found | None:
    """Held-out queries that are nearly a training query with other positives: one template filled
    twice, or a missing judgement.
    """
    parts = _parts(subject)
    first = subject.first_queries
    near = subject.near_queries
    train = np.unique(first[parts.train])
    held = np.unique(first[parts.held])
    one = np.concatenate([near.first, near.second])
    other = np.concatenate([near.second, near.first])
    # near copies with the same positive are another check's
    known = [int(first[query]) for query in near_leaks(subject)]
    kept = np.isin(one, held) & np.isin(other, train) & ~np.isin(one, known)
    if not kept.any():
        return None
    one = one[kept]
    other = other[kept]
    example = (
        f"{subject.show_query(int(one[0]))} is held out; trained on is "
        f"{subject.show_query(int(other[0]))}"
    )
    return Found(NOTE, len(np.unique(one)), len(parts.held), example)


@check(
    COLLECTION,
    COPIES,
    fix=(
        "where new documents are to be found, split again by document with `nearfield data split`"
    ),
)
def shared_documents(subject: Subject) -> Found | None:
    """Held-out queries about a document that is a training query's positive: the score is one on
    documents seen in training.
    """
    total = len(_parts(subject).held)
    judged = subject.judged
    trained = judged.trained[judged.positive]
    # exact copies of a document are the same one
    documents = subject.first_documents[judged.positive_document]
    seen = np.flatnonzero(np.isin(documents, documents[trained]) & ~trained)
    count = len(np.unique(judged.positive_query[seen]))
    if not count:
        return None
    query, shared = judged.pairs[seen[0]]
    example = (
        f"{subject.show_query(query)} is held out; its positive "
        f"{subject.name_document(shared)} is trained on"
    )
    severity = WARNING if count >= _MUCH * total else NOTE
    return Found(severity, count, total, example)


def near_leaks(subject: Subject) -> dict[int, int]:
    """Held-out query -> a training query that is its near copy and shares a positive; exact copies
    are left out.
    """
    first = subject.first_queries
    texts: dict[int, Counter[str]] = {}
    leaked: dict[int, int] = {}
    for held, train in _rivals(subject):
        if held in leaked or first[held] == first[train]:
            continue
        for query in (held, train):
            if query not in texts:
                texts[query] = Counter(terms(subject.queries[query]))
        if _near_copies(texts[held], texts[train]):
            leaked[held] = train
    return leaked


def _rivals(subject: Subject) -> Iterator[tuple[int, int]]:
    """Held-out and training queries that share a positive, exact copies of documents counting as
    one.
    """
    judged = subject.judged
    # queries by document, each once and in the order of the judgements
    held: dict[int, dict[int, None]] = defaultdict(dict)
    train: dict[int, dict[int, None]] = defaultdict(dict)
    trained = judged.trained[judged.positive].tolist()
    for (query, document), in_train in zip(judged.pairs, trained, strict=True):
        shared = int(subject.first_documents[document])
        part = train if in_train else held
        part[shared][query] = None
    for shared, queries in held.items():
        others = list(train.get(shared, ()))[:_PEERS]
        yield from product(queries, others)


def _near_copies(one: Counter[str], other: Counter[str]) -> bool:
    longest = max(one.total(), other.total())
    edits = max(1, longest // _WORDS_AN_EDIT)
    if longest < _WORDS or abs(one.total() - other.total()) > edits:
        return False
    # words of the longer that the other lacks, whatever their order: a moved word is no edit
    return longest - (one & other).total() <= edits


def _parts(subject: Subject) -> _Parts:
    judged = subject.judged
    first = subject.first_queries
    # empty queries are another check's
    known = judged.query >= 0
    known[known] = [bool(subject.queries[int(row)].strip()) for row in judged.query[known]]
    held = known & ~judged.trained
    queries = np.unique(judged.query[held])
    # each wording once for every held-out split that it is in, the two as one number
    places = np.unique(first[judged.query[held]] * len(judged.splits) + judged.split[held])
    wording, count = np.unique(places // max(1, len(judged.splits)), return_counts=True)
    others = queries[np.isin(first[queries], wording[count > 1])]
    return _Parts(np.unique(judged.query[known & judged.trained]), queries, others)
