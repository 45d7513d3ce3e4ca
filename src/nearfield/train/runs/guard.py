"""What must not be lost by training: other data, measured before and after."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nearfield.data.collection import Collection, Split
from nearfield.data.doctor.words import wording
from nearfield.data.open import open_data
from nearfield.data.pairs import Pairs
from nearfield.data.trained_on import UNKNOWN, TrainedOn
from nearfield.errors import InputError
from nearfield.retrieval.bm25 import bm25
from nearfield.retrieval.queries import Queries
from nearfield.retrieval.retriever import Retriever
from nearfield.statistics.correlation import SPEARMAN
from nearfield.train.data.leakage import learned_documents, relevance_by_position
from nearfield.train.data.pool import Pool, pooled_documents
from nearfield.train.runs.candidate import Candidate
from nearfield.types.arrays import Mask
from nearfield.types.progress import Progress, silent

BUILT_IN = ("pydoc-topics",)
"""What guards a run that names no guard: every machine has it."""
LEAST = 10  # queries, or scored pairs, of each half of a guard: fewer tell nothing about a margin


@dataclass(frozen=True)
class ScoredPairs:
    """Pairs of texts with scores given by people; measured by the rank correlation of the model's
    similarities with them.
    """

    pairs: Pairs

    def mean(self, candidate: Candidate, *, progress: Progress = silent) -> float:
        """Spearman's rank correlation with `candidate` as it stands."""
        return candidate.on_pairs(self.pairs, progress=progress)

    @property
    def texts(self) -> set[str]:
        """What is encoded to measure it."""
        return {*self.pairs.queries, *self.pairs.positives}

    @property
    def queries(self) -> Sequence[str]:
        """The first text of each pair."""
        return self.pairs.queries


@dataclass(frozen=True)
class PooledQueries:
    """Queries of a collection, searched in a pool of its documents."""

    pool: Pool

    def mean(self, candidate: Candidate, *, progress: Progress = silent) -> float:
        """The measure's mean with `candidate` as it stands."""
        return candidate.on_pool(self.pool, progress=progress).mean

    @property
    def texts(self) -> set[str]:
        """What is encoded to measure it, but for the queries."""
        return set(self.pool.document_texts)

    @property
    def queries(self) -> Sequence[str]:
        """The queries' texts."""
        return self.pool.query_texts


@dataclass(frozen=True)
class Guard:
    """One guard: `choosing` is measured when the merge is chosen, `reporting` for the verdict; they
    share no query.
    """

    name: str
    measure: str
    fingerprint: str
    choosing: PooledQueries | ScoredPairs
    reporting: PooledQueries | ScoredPairs


@dataclass(frozen=True)
class GuardRule:
    """How guards are measured, and what they are kept clear of: no guard chooses with a query of
    `tested`, and none holds a query that a model is, or will be, `trained` on, nor a document of
    `learned`, which may be any number of texts. Of each half of a collection at most `queries` are
    taken, evenly.
    """

    measure: str = "nDCG@10"
    limit: int = 1500
    tested: Sequence[str] = ()
    trained: TrainedOn = UNKNOWN
    learned: Sequence[str] = ()
    queries: int | None = None

    def untested(self, queries: Sequence[str]) -> Mask:
        """(n,) whether each is in other words than those of the test split."""
        tested = {wording(text) for text in self.tested}
        return np.array([wording(text) not in tested for text in queries], bool)


def open_guards(sources: Sequence[str], rule: GuardRule) -> list[Guard]:
    """The guards at `sources`, each under a name of its own: its data's, or its path where two are
    called the same.

    Raises InputError for a guard given twice, and as `open_guard` does.
    """
    guards = [open_guard(source, rule) for source in sources]
    names = [guard.name for guard in guards]
    guards = [
        replace(guard, name=str(source)) if names.count(guard.name) > 1 else guard
        for guard, source in zip(guards, sources, strict=True)
    ]
    if len({guard.name for guard in guards}) < len(guards):
        raise InputError(f"a guard is given twice: {', '.join(sources)}; give each once")
    return guards


def open_guard(source: str, rule: GuardRule) -> Guard:
    """The guard in a collection or in scored pairs: its dev split to choose and its test split to
    report where it has both, else the two halves of what it has, by a hash of the query.

    Raises InputError where the rule leaves fewer than ten of either.
    """
    data = open_data(source)
    if isinstance(data, Pairs):
        return _scored_guard(data, source, rule)
    names = data.splits
    if {"dev", "test"} <= set(names):
        parts = [data.split("dev"), data.split("test")]
    else:
        whole = data.split("test" if "test" in names else names[-1] if names else "test")
        parts = [whole.part(rows) for rows in _halves(whole.query_texts)]
    parts[0] = parts[0].part(np.flatnonzero(rule.untested(parts[0].query_texts)).tolist())
    parts = [part.part(_free_queries(part, rule)) for part in parts]
    for part in parts:
        _enough(len(part.query_ids), source)
    pools = [PooledQueries(_pool(data, part, rule)) for part in parts]
    return Guard(data.name, rule.measure, data.fingerprint, *pools)


def _free_queries(split: Split, rule: GuardRule) -> list[int]:
    """The places of the queries that the rule leaves, with all that is relevant to them."""
    texts = split.collection.document_texts
    pairs = [
        (query, document)
        for query, judged in enumerate(relevance_by_position(split.collection, split))
        for document in judged
    ]
    free = ~rule.trained.seen(split.query_texts)
    query, document = np.array(pairs, np.int64).reshape(-1, 2).T
    relevant, at = np.unique(document, return_inverse=True)
    free[query[learned_documents(texts[relevant], rule.learned)[at]]] = False
    rows = np.flatnonzero(free)
    if rule.queries is not None:
        rows = rows[:: -(-len(rows) // rule.queries) or 1]
    return rows.tolist()


def guard_values(
    guards: Sequence[Guard],
    candidate: Candidate,
    *,
    reporting: bool = False,
    progress: Progress = silent,
) -> dict[str, float]:
    """Each guard's mean with `candidate` as it stands, by the guard's name."""
    parts = {guard.name: guard.reporting if reporting else guard.choosing for guard in guards}
    return {name: part.mean(candidate, progress=progress) for name, part in parts.items()}


def _scored_guard(data: Pairs, source: str, rule: GuardRule) -> Guard:
    if not data.scored:
        raise InputError(
            "holds pairs without scores; give the file they came from, which opens as a collection",
            path=source,
        )
    queries = list(data.queries)
    free = ~rule.trained.seen(queries) & ~learned_documents(data.positives, rule.learned)
    choosing, reporting = (np.array(rows, np.int64) for rows in _halves(queries))
    choosing = choosing[rule.untested(queries)[choosing]]
    parts = []
    for rows in (choosing[free[choosing]], reporting[free[reporting]]):
        _enough(len(rows), source)
        part = replace(data, table=data.table.take(rows))
        if len(part.table["score"].unique()) < 2:
            raise InputError(
                "the scores are all the same, so nothing can be ranked by them", path=source
            )
        parts.append(ScoredPairs(part))
    return Guard(data.name, SPEARMAN, data.fingerprint, *parts)


def _halves(queries: Sequence[str]) -> tuple[list[int], list[int]]:
    """Rows by a hash of their query's wording, so that a query's rows go together."""
    digests = [hashlib.sha256(wording(query).encode()).digest() for query in queries]
    middle = sorted(digests)[len(digests) // 2] if digests else b""
    return [at for at, digest in enumerate(digests) if digest < middle], [
        at for at, digest in enumerate(digests) if digest >= middle
    ]


def _enough(count: int, source: str) -> None:
    if count < LEAST:
        raise InputError(
            f"one half of the guard has {count} queries or pairs that are not in the test split "
            f"nor trained on; wanted at least {LEAST}",
            path=source,
        )


def _pool(collection: Collection, split: Split, rule: GuardRule) -> Pool:
    texts = collection.document_texts
    ids = collection.document_ids
    named = sorted({document for judged in split.relevance.values() for document in judged})
    judged = {int(at) for at in collection.document_positions(named) if at >= 0}
    queries = Queries(split.query_texts, split.query_ids)
    found = Retriever(ids, texts, [bm25(texts)]).search(queries, 10)
    positions = pooled_documents(judged, [found.documents], range(len(ids)), ids, rule.limit)
    return Pool.of(split, positions, rule.measure)
