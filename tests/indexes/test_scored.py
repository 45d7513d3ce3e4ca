from __future__ import annotations

import numpy as np
import pytest

from indexes import exact_top_k
from nearfield.errors import InputError
from nearfield.indexes.scored import Scored
from nearfield.indexes.top import TopK
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.multi_vector import MultiVector
from nearfield.similarity.sparse import Sparse


def scored(query: Embeddings, documents: Embeddings, k: int, *, block: int = 1000) -> TopK:
    found = Scored(documents, block).search(query, k)
    return found.documents, found.scores


def dense(n: int, seed: int) -> Dense:
    return Dense(
        np.random.default_rng(seed).integers(-2, 3, (n, 4)).astype(np.float32), 4, similarity="dot"
    )


def sparse(n: int, seed: int) -> Sparse:
    return Sparse.of(
        np.random.default_rng(seed).integers(0, 3, (n, 9))
        * (np.random.default_rng(seed + 9).random((n, 9)) < 0.4)
    )


def multi(n: int, seed: int) -> MultiVector:
    lengths = np.random.default_rng(seed).integers(0, 4, n)
    return MultiVector(
        dense(int(lengths.sum()), seed), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    )


@pytest.mark.parametrize("make", [dense, sparse, multi])
@pytest.mark.parametrize("block", [1, 7, 1000])
@pytest.mark.parametrize("k", [1, 5, 40])
def test_it_is_the_sorted_scores_whatever_the_blocks_are(make: object, block: int, k: int) -> None:
    assert callable(make)
    query, documents = make(5, 1), make(30, 2)
    found, scores = scored(query, documents, k, block=block)
    whole = query.scores(documents)
    for row in range(5):
        order = sorted(
            (at for at in range(30) if whole[row, at] > -np.inf),
            key=lambda at: (-whole[row, at], at),
        )[:k]
        assert found[row][found[row] >= 0].tolist() == order
        assert (found[row] >= 0).sum() == len(order)
        np.testing.assert_allclose(scores[row, : len(order)], whole[row, order], rtol=1e-6)
        assert (scores[row, len(order) :] == -np.inf).all()


def test_dense_vectors_are_found_as_by_exact_search() -> None:
    query, documents = dense(6, 1), dense(50, 2)
    for ours, exact in zip(
        scored(query, documents, 7), exact_top_k(query, documents, 7), strict=True
    ):
        np.testing.assert_array_equal(ours, exact)


def test_scores_that_are_not_numbers_are_an_error() -> None:
    vectors = np.zeros((3, 2), np.float32)
    vectors[1, 0] = np.nan
    broken: Embeddings = Dense(vectors, 2, similarity="dot")
    with pytest.raises(InputError, match="document 1 has a score of NaN"):
        scored(Dense(np.ones((1, 2), np.float32), 2, similarity="dot"), broken, 1)
    with pytest.raises(InputError, match="wanted at least 1"):
        scored(dense(1, 0), dense(1, 0), 0)
