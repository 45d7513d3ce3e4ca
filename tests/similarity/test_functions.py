"""Each similarity against naive loops, for numpy arrays and torch tensors alike."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nearfield.errors import ContractError
from nearfield.similarity.functions import FUNCTIONS, similarity, unit

DIM = 5
ELEMENTS = st.floats(-100, 100, allow_subnormal=False).map(
    lambda value: 0.0 if abs(value) < 1e-3 else value
)
VECTORS = st.integers(1, 4).flatmap(lambda rows: arrays(np.float64, (rows, DIM), elements=ELEMENTS))


def naive(name: str, q: list[float], d: list[float]) -> float:
    dot = sum(a * b for a, b in zip(q, d, strict=True))
    if name == "dot":
        return dot
    if name == "euclidean":
        return -math.sqrt(sum((a - b) ** 2 for a, b in zip(q, d, strict=True)))
    lengths = math.sqrt(sum(a * a for a in q)) * math.sqrt(sum(b * b for b in d))
    return dot / lengths if lengths else 0.0


@pytest.mark.parametrize("name", FUNCTIONS)
@given(query=VECTORS, document=VECTORS)
def test_equals_naive_loops(name: str, query: np.ndarray, document: np.ndarray) -> None:
    expected = [[naive(name, q, d) for d in document.tolist()] for q in query.tolist()]
    scores = similarity(name)(query, document)
    assert scores.shape == (len(query), len(document))
    # |q - d| from |q|^2 - 2 q.d + |d|^2 loses half the digits where q and d are almost equal
    tolerance = {"cosine": 1e-9, "dot": 1e-7, "euclidean": 2e-5}[name]
    np.testing.assert_allclose(scores, expected, rtol=1e-9, atol=tolerance)


@pytest.mark.parametrize("name", FUNCTIONS)
@given(query=VECTORS, document=VECTORS)
def test_torch_and_numpy_agree(name: str, query: np.ndarray, document: np.ndarray) -> None:
    by_torch = similarity(name)(torch.from_numpy(query), torch.from_numpy(document))
    assert by_torch.dtype == torch.float64
    np.testing.assert_allclose(
        by_torch.numpy(), similarity(name)(query, document), rtol=1e-9, atol=2e-5
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_higher_is_closer(name: str) -> None:
    query = np.array([[1.0, 0.0, 0.0]])
    document = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    scores = similarity(name)(query, document)[0]
    assert sorted(scores, reverse=True) == scores.tolist()
    assert len(set(scores)) == 4


@pytest.mark.parametrize("name", ["cosine", "euclidean"])
def test_gradients_are_finite_off_the_diagonal(name: str) -> None:
    query = torch.randn(
        3, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    document = torch.randn(2, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(lambda q: similarity(name)(q, document), query)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_of_equal_and_of_zero_vectors_are_finite(name: str, dtype: torch.dtype) -> None:
    query = torch.tensor(
        [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [1.0, 1.0, 0.0]], dtype=dtype, requires_grad=True
    )
    scores = similarity(name)(query, query.detach().clone())
    scores.sum().backward()
    assert torch.isfinite(query.grad).all()
    if name == "euclidean":
        np.testing.assert_allclose(scores.detach().diagonal(), 0, atol=1e-5)


@given(vectors=VECTORS)
def test_unit_gives_length_one_and_keeps_zero(vectors: np.ndarray) -> None:
    lengths = np.linalg.norm(unit(vectors), axis=1)
    zero = ~vectors.any(1)
    np.testing.assert_allclose(lengths[~zero], 1, rtol=1e-12)
    assert not unit(vectors)[zero].any()


def test_an_unknown_similarity_names_the_nearest() -> None:
    with pytest.raises(
        ContractError,
        match=r"no similarity 'cosin'; wanted one of cosine, dot, "
        r"euclidean. Did you mean 'cosine'\?",
    ):
        similarity("cosin")
