from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nearfield.errors import ContractError, MetricWarning
from nearfield.similarity.metric import turned_pairs, warn_of_metric
from nearfield.types.contract import Contract

SCORES = arrays(np.float64, (2, 6), elements=st.integers(-3, 3).map(float))


@given(own=SCORES, other=SCORES)
def test_turned_pairs_equals_naive_loops(own: np.ndarray, other: np.ndarray) -> None:
    turned = sum(
        (a[i] - a[j]) * (b[i] - b[j]) < 0
        for a, b in zip(own, other, strict=True)
        for i, j in combinations(range(6), 2)
    )
    assert turned_pairs(own, other) == (turned, 2 * 15)


def test_another_metric_warns_with_its_measured_cost() -> None:
    contract = Contract("tiny", 2, 8, normalise=False)
    # cosine prefers the first, dot the second
    query, document = np.array([[1.0, 0.0]]), np.array([[1.0, 0.1], [5.0, 5.0]])
    with pytest.warns(
        MetricWarning,
        match=r"tiny is made for cosine and dot was asked for: of 1 "
        r"pairs of texts, 1 \(100.0%\)",
    ):
        warn_of_metric(contract, "dot", query=query, document=document)


def test_unit_vectors_order_alike_and_the_warning_says_so() -> None:
    vectors = np.random.default_rng(0).normal(size=(8, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with pytest.warns(
        MetricWarning,
        match=r"0 \(0.0%\) come in the other order; its vectors have "
        r"unit length",
    ):
        warn_of_metric(Contract("tiny", 4, 8), "euclidean", query=vectors[:3], document=vectors)


def test_the_contracts_own_metric_is_silent_and_an_unknown_one_an_error() -> None:
    vectors = np.eye(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_metric(Contract("tiny", 3, 8), "cosine", query=vectors, document=vectors)
    with pytest.raises(ContractError, match="no similarity 'manhattan'"):
        warn_of_metric(Contract("tiny", 3, 8), "manhattan", query=vectors, document=vectors)
