"""Fusion weights from judged queries: what is chosen, and when what was there stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from nearfield.similarity.dense import Dense
from nearfield.similarity.fused import Fused
from nearfield.similarity.multi_vector import MultiVector
from nearfield.similarity.sparse import Sparse
from nearfield.train.data.pool import Pool
from nearfield.train.runs import fusion
from nearfield.train.runs.fusion import fit_fusion

QUERIES, DOCUMENTS = 40, 60


def fused(
    dense: np.ndarray, sparse: np.ndarray, tokens: np.ndarray, fusion: dict[str, float]
) -> Fused:
    """Items whose three kinds are these rows, one token each."""
    vectors = Dense(tokens.astype(np.float32), tokens.shape[1], similarity="dot")
    parts = {
        "dense": Dense(dense.astype(np.float32), dense.shape[1], similarity="dot"),
        "sparse": Sparse.of(sparse.astype(np.float32)),
        "multi-vector": MultiVector(vectors, np.arange(len(tokens) + 1)),
    }
    return Fused(parts, fusion)


def problem(
    told_by: str, fusion: dict[str, float], *, scale: float = 1.0
) -> tuple[Fused, Fused, Pool]:
    """Queries whose relevant document one kind alone knows; the scores of the others are noise."""
    generator = np.random.default_rng(0)
    relevant = generator.integers(0, DOCUMENTS, QUERIES)
    made: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for kind in ("dense", "sparse", "multi-vector"):
        documents = np.abs(generator.normal(size=(DOCUMENTS, 16)))
        queries = np.abs(generator.normal(size=(QUERIES, 16)))
        if kind == told_by:
            documents /= np.linalg.norm(documents, axis=1, keepdims=True)
            queries = documents[relevant] * scale
        made[kind] = queries, documents
    queries, documents = (fused(*(pair[side] for pair in made.values()), fusion) for side in (0, 1))
    ids = [f"d{at}" for at in range(DOCUMENTS)]
    judged = {f"q{at}": {ids[document]: 1} for at, document in enumerate(relevant.tolist())}
    return queries, documents, Pool(list(judged), list(judged), ids, ids, judged, "nDCG@10")


def fitted(queries: Fused, documents: Fused, pool: Pool) -> fusion.Fusion:
    """By the parts of both, from the queries' own weights."""
    return fit_fusion(queries.parts, documents.parts, queries.weights, pool)


@pytest.mark.parametrize("told_by", ["dense", "sparse", "multi-vector"])
@pytest.mark.parametrize("scale", [1.0, 0.001])
def test_the_head_that_knows_decides_whatever_its_scale(told_by: str, scale: float) -> None:
    others = {kind: float(kind != told_by) for kind in ("dense", "sparse", "multi-vector")}
    queries, documents, pool = problem(told_by, others, scale=scale)
    found = fitted(queries, documents, pool)
    assert found.dev > 0.95 > 0.5 > found.before
    chosen = Fused(queries.parts, found.weights)
    assert pool.judged(chosen.scores(documents)).mean == pytest.approx(found.dev)
    assert max(found.weights.values()) == 1


def test_a_query_that_is_a_document_chooses_no_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, documents, pool = problem("dense", {"dense": 1.0, "sparse": 1.0, "multi-vector": 1.0})
    seen: list[np.ndarray] = []
    monkeypatch.setattr(
        fusion,
        "_likeliest",
        lambda scores, present, wanted: seen.extend(scores.values()) or dict(present),
    )
    fitted(queries, documents, replace(pool, own=np.arange(len(pool.query_ids)) % DOCUMENTS))
    for scores in seen:
        for row in range(len(scores)):
            assert scores[row, row % DOCUMENTS] == scores[row].min()


def test_weights_that_nothing_beats_by_more_than_chance_stay() -> None:
    best = {"dense": 1.0, "sparse": 0.0, "multi-vector": 0.0}
    queries, documents, pool = problem("dense", best)
    found = fitted(queries, documents, pool)
    assert found.weights == best
    assert found.dev == found.before


def test_few_queries_choose_nothing_and_a_document_without_tokens_is_no_trouble() -> None:
    queries, documents, pool = problem("dense", {"dense": 0.0, "sparse": 1.0, "multi-vector": 1.0})
    few = pool.query_ids[:10]
    some = Pool(
        few,
        few,
        pool.document_ids,
        pool.document_texts,
        {name: pool.relevance[name] for name in few},
        pool.measure,
    )
    assert fitted(queries[:10], documents, some).weights == queries.weights
    late = documents.parts["multi-vector"]
    without = MultiVector(late.tokens[1:], np.maximum(late.offsets - 1, 0))
    found = fitted(queries, Fused({**documents.parts, "multi-vector": without}), pool)
    assert found.dev > 0.95
    assert np.isfinite(list(found.weights.values())).all()


def test_a_head_that_scores_all_alike_keeps_its_weight_beside_the_others() -> None:
    equal = {"dense": 1.0, "sparse": 1.0, "multi-vector": 1.0}
    queries, documents, pool = problem("dense", equal)
    weights = []
    for value in (0.0, 0.1):  # float32 rounds sixteen times .1 times 1 otherwise than their mean
        flat = []
        for side in (queries, documents):
            late = side.parts["multi-vector"]
            tokens = replace(late.tokens, vectors=np.full_like(late.tokens.vectors, value))
            own = replace(late, tokens=tokens)
            flat.append(Fused({**side.parts, "multi-vector": own}, side.weights))
        weights.append(fitted(flat[0], flat[1], pool).weights)
    assert weights[0] == pytest.approx(weights[1], abs=1e-3)


def noisy(
    seed: int, *, fusion: dict[str, float], tells: tuple[float, float, float] = (0.5, 0.5, 0.5)
) -> tuple[Fused, Fused, Pool]:
    """Queries whose relevant document each kind knows by so much, under noise."""
    generator = np.random.default_rng(seed)
    relevant = generator.integers(0, DOCUMENTS, QUERIES)
    sides = [
        [np.abs(generator.normal(size=(rows, 16))) for _ in range(3)]
        for rows in (QUERIES, DOCUMENTS)
    ]
    for query, document, much in zip(*sides, tells, strict=True):
        query += much * document[relevant]
    queries, documents = (fused(*side, fusion) for side in sides)
    ids = [f"d{at}" for at in range(DOCUMENTS)]
    judged = {f"q{at}": {ids[document]: 1} for at, document in enumerate(relevant.tolist())}
    return queries, documents, Pool(list(judged), list(judged), ids, ids, judged, "nDCG@10")


def test_the_weights_are_the_likeliest_by_the_formula() -> None:
    present = {"dense": 1.0, "sparse": 0.3, "multi-vector": 1.0}
    queries, documents, pool = noisy(3, fusion=present, tells=(0.9, 0.4, 0.1))
    found = fitted(queries, documents, pool).weights
    assert found != present
    scores = {
        kind: part.scores(documents.parts[kind]).astype(np.float64)
        for kind, part in queries.parts.items()
    }
    spread = {kind: float(own.std()) for kind, own in scores.items()}
    along = np.array([present[kind] * spread[kind] for kind in scores])
    along /= np.linalg.norm(along)

    def loss(weights: np.ndarray) -> float:
        total = 0.0
        for row, query in enumerate(pool.query_ids):
            fused = [
                sum(
                    weights[at] * own[row, column] / spread[kind]
                    for at, (kind, own) in enumerate(scores.items())
                )
                for column in range(DOCUMENTS)
            ]
            (document,) = pool.relevance[query]
            total += (
                np.log(np.exp(np.array(fused) - max(fused)).sum())
                + max(fused)
                - fused[pool.document_ids.index(document)]
            )
        off = weights - weights @ along * along
        return total + 1.5 * off @ off

    direction = np.array([found[kind] * spread[kind] for kind in scores])
    best = min(np.linspace(1, 60, 60), key=lambda size: loss(size * direction))
    weights = (
        minimize_scalar(
            lambda size: loss(size * direction), bounds=(best - 1, best + 1), method="bounded"
        ).x
        * direction
    )
    for at in range(3):
        for step in (-0.02, 0.02):
            moved = weights + step * np.eye(3)[at]
            assert loss(moved) > loss(weights) - 1e-6 or moved.min() < 0


def test_equal_heads_stay_nearly_equal_and_no_weight_is_lost_to_chance() -> None:
    equal = {"dense": 1.0, "sparse": 1.0, "multi-vector": 1.0}
    gains = []
    for seed in range(6):
        queries, documents, pool = noisy(seed, fusion=equal)
        fusion = fitted(queries, documents, pool)
        assert min(fusion.weights.values()) > 0.3
        fresh, others, unseen = noisy(seed + 100, fusion=equal)
        chosen = replace(fresh, weights=fusion.weights)
        gains.append(
            unseen.judged(chosen.scores(others)).mean - unseen.judged(fresh.scores(others)).mean
        )
    assert np.mean(gains) > -0.02
