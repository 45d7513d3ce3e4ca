"""The inverted index against a dense product, by the kernel and by numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import random_array

from indexes import without_kernels
from nearfield.errors import ContractError, InputError
from nearfield.indexes import inverted
from nearfield.indexes.inverted import Inverted
from nearfield.indexes.top import TopK
from nearfield.similarity.sparse import Sparse


def sparse(n: int, dim: int, seed: int, density: float = 0.2) -> Sparse:
    return Sparse.of(
        random_array((n, dim), density=density, rng=np.random.default_rng(seed), dtype=np.float32)
    )


def top_k(index: Inverted, query: Sparse, k: int) -> TopK:
    found = index.search(query, k)
    return found.documents, found.scores


@settings(max_examples=60)
@given(
    st.integers(1, 40),
    st.integers(1, 300),
    st.integers(1, 30),
    st.integers(1, 50),
    st.integers(0, 2**31),
)
def test_a_dense_product_gives_the_same(n: int, m: int, dim: int, k: int, seed: int) -> None:
    query, documents = sparse(n, dim, seed), sparse(m, dim, seed + 1)
    found, scores = top_k(Inverted.of(documents), query, k)
    for row, values in enumerate((query.matrix() @ documents.matrix().T).todense()):
        count = min(k, int((values > 0).sum()))
        np.testing.assert_allclose(scores[row, :count], np.sort(values)[::-1][:count], rtol=1e-5)
        np.testing.assert_allclose(values[found[row, :count]], scores[row, :count], rtol=1e-5)
        assert (found[row, count:] == -1).all()
        assert np.isneginf(scores[row, count:]).all()
        order = np.lexsort((found[row, :count], -scores[row, :count]))
        assert order.tolist() == list(range(count))


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 16])
def test_blocks_and_numpy_change_nothing(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    documents, query = sparse(500, 40, 1), sparse(50, 40, 2)
    index = Inverted.of(documents)
    whole = top_k(index, query, 12)
    monkeypatch.setattr(inverted, "BLOCK", block)
    made = Inverted.of(documents)
    columns = documents.matrix().tocsc()
    for ours, theirs in (
        (made.starts, columns.indptr),
        (made.documents, columns.indices),
        (made.weights, columns.data),
    ):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(top_k(index, query, 12)[0], whole[0])
    np.testing.assert_array_equal(top_k(index, query, 12)[1], whole[1])
    without_kernels(monkeypatch)
    found, scores = top_k(index, query, 12)
    np.testing.assert_allclose(scores, whole[1], rtol=1e-6)
    assert (found == whole[0]).mean() > 0.99


def test_a_term_that_comes_twice_counts_twice() -> None:
    index = Inverted.of(Sparse.of(np.array([[1, 0], [0, 1.5]], np.float32)))
    terms, weights = np.array([0, 1, 0], np.int32), np.ones(3, np.float32)
    query = Sparse(weights, terms, np.array([0, 3]), 2)
    assert index.search(query, 2).scores.tolist() == [[2.0, 1.5]]


def test_bad_input() -> None:
    index = Inverted.of(sparse(5, 9, 1))
    with pytest.raises(ContractError, match="over 8 terms and the index over 9"):
        index.search(sparse(1, 8, 1), 3)
    with pytest.raises(InputError, match="terms that are not between 0 and 8"):
        index.search(replace(sparse(1, 9, 1), terms=np.array([9], np.int32)), 3)
    for refused in (Sparse.of(np.array([[-1.0, 2]])), Sparse.of(np.eye(2), similarity="cosine")):
        with pytest.raises(ContractError, match="dot products of weights that are not negative"):
            Inverted.of(refused)
    assert index.search(sparse(0, 9, 1), 3).documents.shape == (0, 3)
    assert (
        Inverted.of(sparse(0, 9, 1)).search(sparse(2, 9, 1), 3).documents.tolist() == [[-1] * 3] * 2
    )


def test_queries_with_negative_weights_are_scored_with_every_document() -> None:
    documents, query = sparse(40, 12, 1), sparse(3, 12, 2)
    query = replace(query, weights=-query.weights)
    found = Inverted.of(documents).search(query, 40)
    np.testing.assert_allclose(
        np.take_along_axis(query.scores(documents), found.documents, 1), found.scores, rtol=1e-6
    )
    assert (found.documents >= 0).all()
