"""What a tuned model must not forget: other data, measured before and after."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from nearfield.data.collection import Collection, Split
from nearfield.data.open import open_data
from nearfield.data.pairs import Pairs
from nearfield.encoders.encoder import Encoder
from nearfield.errors import InputError
from nearfield.index.bm25 import BM25
from nearfield.similarity.functions import FUNCTIONS
from nearfield.train.pool import Pool, pooled_documents
from nearfield.types.role import DOCUMENT, QUERY

SPEARMAN = "Spearman"


@dataclass(frozen=True)
class ScoredPairs:
    """Pairs of texts with scores given by people; measured by the rank correlation of the model's similarities with them."""

    first: Sequence[str]
    second: Sequence[str]
    scores: Sequence[float]

    def mean(self, encoder: Encoder) -> float:
        """Spearman's rank correlation with `encoder` as it stands."""
        similarity = FUNCTIONS[encoder.contract.similarity]
        role = QUERY if encoder.contract.prompt(QUERY) == encoder.contract.prompt(DOCUMENT) else "similarity"
        role = role if role in (QUERY, *encoder.contract.prompts) else QUERY
        first, second = encoder.encode(self.first, role).floats(), encoder.encode(self.second, role).floats()
        near = [float(similarity(first[row : row + 1], second[row : row + 1])[0, 0]) for row in range(len(first))]
        return float(spearmanr(near, self.scores).statistic)

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class Guard:
    """One guard: `choosing` is measured when the merge is chosen, `reporting` for the verdict; they share no query."""

    name: str
    measure: str
    fingerprint: str
    choosing: Pool | ScoredPairs
    reporting: Pool | ScoredPairs

    def value(self, encoder: Encoder, *, reporting: bool = False) -> float:
        """The guard's mean with `encoder` as it stands."""
        part = self.reporting if reporting else self.choosing
        return part.mean(encoder) if isinstance(part, ScoredPairs) else part.scores(encoder).mean

    @property
    def queries(self) -> int:
        """Queries, or pairs, that the reported figure rests on."""
        return len(self.reporting) if isinstance(self.reporting, ScoredPairs) else len(self.reporting.query_ids)


def open_guard(source: str, *, measure: str, limit: int) -> Guard:
    """The guard in a collection or in scored pairs: its dev split to choose and its test split to report where it has both,
    else the two halves of what it has, by a hash of the query."""
    data = open_data(source)
    if isinstance(data, Pairs) and data.scored:
        first, second = _halves([f"{query}\n{positive}" for query, positive in zip(data.queries, data.positives, strict=True)])
        return Guard(data.name, SPEARMAN, data.fingerprint, _scored(data, first), _scored(data, second))
    if isinstance(data, Pairs):
        raise InputError("holds pairs without scores; give the file they came from, which opens as a collection", path=source)
    collection, names = data, data.splits
    if {"dev", "test"} <= set(names):
        choosing, reporting = collection.split("dev"), collection.split("test")
    else:
        whole = collection.split("test" if "test" in names else names[-1] if names else "test")
        first, second = _halves(whole.query_ids)
        choosing, reporting = _part(whole, first), _part(whole, second)
    parts = [_pool(collection, part, measure=measure, limit=limit) for part in (choosing, reporting)]
    return Guard(collection.name, measure, collection.fingerprint, parts[0], parts[1])


def _halves(names: Sequence[str]) -> tuple[list[int], list[int]]:
    order = sorted(range(len(names)), key=lambda at: hashlib.sha256(names[at].encode()).digest())
    half = max(1, len(order) // 2)
    return sorted(order[:half]), sorted(order[half:] or order[:half])


def _scored(pairs: Pairs, rows: Sequence[int]) -> ScoredPairs:
    scores = pairs.table["score"].to_pylist()
    return ScoredPairs([pairs.queries[row] for row in rows], [pairs.positives[row] for row in rows], [scores[row] for row in rows])


def _part(split: Split, rows: Sequence[int]) -> Split:
    ids = tuple(split.query_ids[row] for row in rows)
    relevance: Mapping[str, dict[str, int]] = split.relevance
    return Split(split.name, split.collection, ids, tuple(split.query_texts[row] for row in rows), {key: relevance[key] for key in ids})


def _pool(collection: Collection, split: Split, *, measure: str, limit: int) -> Pool:
    texts, ids = collection.document_texts, collection.document_ids
    named = sorted({document for judged in split.relevance.values() for document in judged})
    judged = {int(at) for at in collection.document_positions(named) if at >= 0}
    found, _ = BM25(texts).top_k(split.query_texts, 10)
    positions = pooled_documents(judged, [found], range(len(ids)), ids, limit)
    texts_of, ids_of = [texts[int(at)] for at in positions], [ids[int(at)] for at in positions]
    return Pool(split.query_ids, split.query_texts, ids_of, texts_of, split.relevance, measure)


def guard_values(guards: Sequence[Guard], encoder: Encoder, *, reporting: bool = False) -> dict[str, float]:
    """Each guard's mean with `encoder` as it stands, by the guard's name."""
    return {guard.name: float(np.float64(guard.value(encoder, reporting=reporting))) for guard in guards}
