"""Fusion weights from judged queries: what is chosen, and when what was there stays."""

from __future__ import annotations

import numpy as np
import pytest

from nearfield.similarity.dense import Dense
from nearfield.similarity.multi_vector import MultiVector
from nearfield.similarity.several import Several
from nearfield.similarity.sparse import Sparse
from nearfield.train.fusion import fit_fusion
from nearfield.train.pool import Pool

QUERIES, DOCUMENTS = 40, 60


def several(dense: np.ndarray, sparse: np.ndarray, tokens: np.ndarray, fusion: dict[str, float]) -> Several:
    """Items whose three kinds are these rows, one token each."""
    vectors = Dense(tokens.astype(np.float32), tokens.shape[1], similarity="dot")
    return Several(
        Dense(dense.astype(np.float32), dense.shape[1], similarity="dot"),
        Sparse.of(sparse.astype(np.float32)),
        MultiVector(vectors, np.arange(len(tokens) + 1)),
        fusion,
    )


def problem(told_by: str, fusion: dict[str, float], *, scale: float = 1.0) -> tuple[Several, Several, Pool]:
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
    queries, documents = (several(*(pair[side] for pair in made.values()), fusion) for side in (0, 1))
    ids = [f"d{at}" for at in range(DOCUMENTS)]
    judged = {f"q{at}": {ids[document]: 1} for at, document in enumerate(relevant.tolist())}
    return queries, documents, Pool(list(judged), list(judged), ids, ids, judged, "nDCG@10")


@pytest.mark.parametrize("told_by", ["dense", "sparse", "multi-vector"])
@pytest.mark.parametrize("scale", [1.0, 0.001])
def test_the_head_that_knows_decides_whatever_its_scale(told_by: str, scale: float) -> None:
    others = {kind: float(kind != told_by) for kind in ("dense", "sparse", "multi-vector")}
    queries, documents, pool = problem(told_by, others, scale=scale)
    found = fit_fusion(queries, documents, pool)
    assert found.dev > 0.95 > 0.5 > found.before
    chosen = queries.__class__(queries.dense, queries.sparse, queries.multi_vector, found.weights)
    assert pool.judged(chosen.scores(documents)).mean == pytest.approx(found.dev)
    assert max(found.weights.values()) == 1


def test_weights_that_nothing_beats_by_more_than_chance_stay() -> None:
    best = {"dense": 1.0, "sparse": 0.0, "multi-vector": 0.0}
    queries, documents, pool = problem("dense", best)
    found = fit_fusion(queries, documents, pool)
    assert found.weights == best
    assert found.dev == found.before
