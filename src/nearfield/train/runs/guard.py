"""What must not be lost by training: other data, measured before and after."""

from __future__ import annotations

import hashlib
import logging
import math
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
from nearfield.train.data.leakage import (
    ANY_GRADE,
    judged_documents,
    learned_documents,
    relevance_by_position,
)
from nearfield.train.data.pool import Pool, pooled_documents
from nearfield.train.runs.candidate import Candidate
from nearfield.types.arrays import Mask
from nearfield.types.progress import Progress, silent

log = logging.getLogger(__name__)
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


def guards_of(names: Sequence[str] | None, rule: GuardRule) -> tuple[list[Guard], str]:
    """The guards of these names, and "". For None, the built-in one; where the rule leaves too
    little of it, no guard, and a note that says why, which is logged, too.
    """
    if names is not None:
        return open_guards(names, rule), ""
    try:
        return open_guards(BUILT_IN, rule), ""
    except InputError as error:
        note = f"without the built-in guard: {error}"
        log.info(note)
        return [], note


def open_guards(sources: Sequence[str], rule: GuardRule) -> list[Guard]:
    """The guards at `sources`, each under a name of its own: its data's, or its path where two are
    called the same.

    Raises InputError for a guard given twice, and as `open_guard` does.
    """
    opened = [open_guard(source, rule) for source in sources]
    names = [guard.name for guard in opened]
    guards = []
    for guard, source in zip(opened, sources, strict=True):
        alone = names.count(guard.name) == 1
        guards.append(guard if alone else replace(guard, name=str(source)))
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
    if "dev" in names and "test" in names:
        choosing = data.split("dev")
        reporting = data.split("test")
    else:
        # test, or the last split; without any, `split` says what is wrong
        last = names[-1] if names else "test"
        whole = data.split("test" if "test" in names else last)
        first, second = _halves(whole.query_texts)
        choosing = whole.part(first)
        reporting = whole.part(second)
    untested = np.flatnonzero(rule.untested(choosing.query_texts))
    choosing = choosing.part(untested.tolist())
    pools = []
    for half in (choosing, reporting):
        part = half.part(_free_queries(half, rule))
        _enough(len(part.query_ids), source)
        pools.append(PooledQueries(_pool(data, part, rule)))
    return Guard(data.name, rule.measure, data.fingerprint, *pools)


def _free_queries(split: Split, rule: GuardRule) -> list[int]:
    """The places of the queries that the rule leaves, with all that is relevant to them."""
    texts = split.collection.document_texts
    judged = relevance_by_position(split.collection, split)
    # what is learned from cannot tell what is forgotten
    free = ~rule.trained.seen(split.query_texts)
    relevant = sorted(judged_documents(judged))
    learned = learned_documents(texts[relevant], rule.learned)
    lost = {document for document, known in zip(relevant, learned, strict=True) if known}
    for query, documents in enumerate(judged):
        if not lost.isdisjoint(documents):
            free[query] = False
    rows = np.flatnonzero(free)
    if rule.queries is not None:
        apart = math.ceil(len(rows) / rule.queries)
        rows = rows[:: max(1, apart)]
    return rows.tolist()


def guard_values(
    guards: Sequence[Guard],
    candidate: Candidate,
    *,
    reporting: bool = False,
    progress: Progress = silent,
) -> dict[str, float]:
    """Each guard's mean with `candidate` as it stands, by the guard's name."""
    values = {}
    for guard in guards:
        half = guard.reporting if reporting else guard.choosing
        values[guard.name] = half.mean(candidate, progress=progress)
    return values


def _scored_guard(data: Pairs, source: str, rule: GuardRule) -> Guard:
    if not data.scored:
        raise InputError(
            "holds pairs without scores; give the file they came from, which opens as a collection",
            path=source,
        )
    queries = list(data.queries)
    free = ~rule.trained.seen(queries) & ~learned_documents(data.positives, rule.learned)
    choosing, reporting = _halves(queries)
    untested = rule.untested(queries)
    parts = []
    # a query of test may report what was lost, as it chooses nothing there
    for half in ([at for at in choosing if untested[at]], reporting):
        rows = [at for at in half if free[at]]
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
    # not in the file's order, in which neighbours are often alike
    digests = [hashlib.sha256(wording(query).encode()).digest() for query in queries]
    middle = sorted(digests)[len(digests) // 2] if digests else b""
    first: list[int] = []
    second: list[int] = []
    for at, digest in enumerate(digests):
        half = first if digest < middle else second
        half.append(at)
    return first, second


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
    judged = judged_documents(relevance_by_position(collection, split, least=ANY_GRADE))
    # the pool must be the same for every model that is guarded, so that only BM25 chooses it
    queries = Queries(split.query_texts, split.query_ids)
    found = Retriever(ids, texts, [bm25(texts)]).search(queries, 10)
    positions = pooled_documents(judged, [found.documents], range(len(ids)), ids, rule.limit)
    return Pool.of(split, positions, rule.measure)
