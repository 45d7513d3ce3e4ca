"""Exact search against a naive double loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes import exact_top_k
from nearfield.errors import ContractError, InputError
from nearfield.indexes import exact
from nearfield.indexes.exact import Exact
from nearfield.indexes.index import Index
from nearfield.indexes.scored import Scored
from nearfield.similarity.dense import Dense
from nearfield.similarity.functions import FUNCTIONS
from nearfield.similarity.storages import STORAGES


def vectors(n: int, dim: int = 12, *, seed: int = 0, similarity: str = "cosine") -> Dense:
    return Dense(
        np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32),
        dim,
        similarity=similarity,
    )


def naive(query: Dense, documents: Dense, k: int) -> list[list[tuple[int, float]]]:
    """Every query against every document, one number at a time."""

    def score(q: np.ndarray, d: np.ndarray) -> float:
        product = sum(float(a) * float(b) for a, b in zip(q, d, strict=True))
        lengths = [sum(float(a) ** 2 for a in side) ** 0.5 for side in (q, d)]
        apart = sum((float(a) - float(b)) ** 2 for a, b in zip(q, d, strict=True)) ** 0.5
        return {
            "dot": product,
            "cosine": product / (lengths[0] * lengths[1] or 1.0),
            "euclidean": -apart,
        }[query.similarity]

    everything = [
        [(place, score(q, d)) for place, d in enumerate(documents.floats())] for q in query.floats()
    ]
    return [sorted(row, key=lambda item: (-np.float32(item[1]), item[0]))[:k] for row in everything]


@pytest.mark.parametrize("storage", list(STORAGES))
@pytest.mark.parametrize("similarity", FUNCTIONS)
def test_a_naive_double_loop_finds_the_same(similarity: str, storage: str) -> None:
    query, documents = (
        vectors(5, seed=1, similarity=similarity),
        vectors(61, similarity=similarity).quantise(storage),
    )
    found, scores = exact_top_k(query, documents, 7, block=16)
    expected = naive(query, documents, 7)
    assert found.tolist() == [[place for place, _ in row] for row in expected]
    np.testing.assert_allclose(
        scores, [[score for _, score in row] for row in expected], rtol=1e-5, atol=1e-6
    )
    assert (found.dtype, scores.dtype) == (np.int64, np.float32)


@settings(max_examples=40)
@given(
    st.integers(1, 9),
    st.integers(1, 40),
    st.integers(1, 50),
    st.integers(1, 45),
    st.sampled_from(list(STORAGES)),
)
def test_blocks_and_batches_change_nothing(
    n: int, m: int, k: int, block: int, storage: str
) -> None:
    query, documents = vectors(n, dim=5, seed=n), vectors(m, dim=5, seed=m).quantise(storage)
    whole = exact_top_k(query, documents, k)
    for found, scores in (
        exact_top_k(query, documents, k, block=block),
        tuple(
            np.concatenate(side)
            for side in zip(
                *(exact_top_k(query[row : row + 1], documents, k) for row in range(n)), strict=True
            )
        ),
    ):
        np.testing.assert_array_equal(found, whole[0])
        np.testing.assert_array_equal(scores, whole[1])


@pytest.mark.parametrize("block", [3, 8, 10_000])
@pytest.mark.parametrize("similarity", FUNCTIONS)
def test_equal_scores_go_to_the_smaller_position(similarity: str, block: int) -> None:
    once = vectors(4, dim=6, seed=3, similarity=similarity)
    documents = replace(once, vectors=np.tile(once.vectors, (25, 1)))
    found, scores = exact_top_k(once, documents, 30, block=block)
    for row in range(4):
        assert found[row, :25].tolist() == list(range(row, 100, 4))
        assert len(set(scores[row, :25].tolist())) == 1
        assert (np.diff(found[row, 25:]) > 0).all()


def test_more_than_there_are_is_filled_with_nothing() -> None:
    found, scores = exact_top_k(vectors(2, seed=1), vectors(3), 5)
    assert (found[:, 3:] == -1).all()
    assert np.isneginf(scores[:, 3:]).all()
    assert sorted(found[0, :3].tolist()) == [0, 1, 2]
    nothing, _ = exact_top_k(vectors(2), vectors(0), 4)
    assert (nothing == -1).all()
    assert exact_top_k(vectors(0), vectors(3), 4)[0].shape == (0, 4)


def test_memory_mapped_documents_are_searched_where_they_lie(tmp_path: Path) -> None:
    documents = vectors(200).quantise("int8")
    documents.save(tmp_path / "vectors")
    opened = Dense.open(tmp_path / "vectors")
    assert isinstance(opened.vectors, np.memmap)
    np.testing.assert_array_equal(
        exact_top_k(vectors(3, seed=5), opened, 9)[0],
        exact_top_k(vectors(3, seed=5), documents, 9)[0],
    )


def test_a_choice_of_documents_is_copied_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    documents, query = vectors(50, seed=1), vectors(9, seed=2)
    where = np.random.default_rng(0).random(50) < 0.7
    places = np.append(np.flatnonzero(where), -1)
    alone = Exact(documents[np.flatnonzero(where)]).search(query, 12)
    for piece in (1, 7, 1000):
        monkeypatch.setattr(exact, "PIECE", piece)
        found = Exact(documents).search(query, 12, where=where)
        np.testing.assert_array_equal(found.documents, places[alone.documents])
        np.testing.assert_array_equal(found.scores, alone.scores)


def test_a_zero_vector_is_scored_and_not_lost() -> None:
    documents = Dense(np.array([[0, 0], [1, 0], [-1, 0]], np.float32), 2)
    found, scores = exact_top_k(Dense(np.array([[2, 0]], np.float32), 2), documents, 3)
    assert found.tolist() == [[1, 0, 2]]
    assert scores.tolist() == [[1, 0, -1]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("similarity", FUNCTIONS)
def test_vectors_that_are_not_finite_are_an_error_and_lose_no_result(
    similarity: str, value: float
) -> None:
    damaged = vectors(40, similarity=similarity)
    damaged.vectors[33, 2] = value
    with pytest.raises(InputError, match="document 33 has a score of NaN or infinity"):
        exact_top_k(vectors(3, similarity=similarity), damaged, 5, block=16)
    with pytest.raises(InputError, match="a score of NaN or infinity"):
        exact_top_k(damaged, vectors(9, similarity=similarity), 5)


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("kind", [Exact, Scored])
def test_a_document_that_is_not_finite_is_named_by_its_place_among_all(
    kind: type[Index[Dense]], kernels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kernels:
        monkeypatch.setattr(exact, "dense_kernels", lambda documents: None)
    damaged = vectors(40)
    damaged.vectors[33, 2] = np.nan
    with pytest.raises(InputError, match="document 33 has a score of NaN"):
        kind.of(damaged).search(vectors(3), 5, where=np.arange(40) % 2 == 1)


def test_bad_input() -> None:
    with pytest.raises(ContractError, match="queries have 12 dimensions and documents 5"):
        exact_top_k(vectors(1), vectors(1, dim=5), 1)
    with pytest.raises(InputError, match="0 results"):
        exact_top_k(vectors(1), vectors(1), 0)


def test_a_similarity_that_the_kernels_do_not_know_is_searched_by_its_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FUNCTIONS, "halved", lambda query, document: query @ document.T / 2)
    query, documents = (vectors(n, seed=n, similarity="halved") for n in (3, 40))
    positions, scores = exact_top_k(query, documents, 5)
    expected = query.scores(documents)
    np.testing.assert_array_equal(positions, np.argsort(-expected, axis=1)[:, :5])
    np.testing.assert_allclose(scores, -np.sort(-expected, axis=1)[:, :5], rtol=1e-5)
