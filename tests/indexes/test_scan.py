"""The kernel's scan against the one by numpy, at every level that this processor runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes import clustered
from nearfield.errors import InputError
from nearfield.indexes.rescore import rescored
from nearfield.indexes.scan import numpy_scan, scan
from nearfield.kernels.library import kernels, runnable
from nearfield.similarity.dense import Dense
from nearfield.similarity.functions import FUNCTIONS
from nearfield.similarity.storages import STORAGES

pytestmark = pytest.mark.skipif(not runnable(), reason="the kernels are not compiled here")


@settings(max_examples=80)
@given(
    st.integers(1, 14),
    st.integers(1, 70),
    st.integers(1, 80),
    st.integers(1, 40),
    st.sampled_from(list(STORAGES)),
    st.sampled_from(sorted(FUNCTIONS)),
    st.sampled_from(runnable() or ("none",)),
)
def test_every_level_finds_what_numpy_finds(
    n: int, m: int, dim: int, block: int, storage: str, similarity: str, level: str
) -> None:
    generator = np.random.default_rng(n * m * dim)
    query = generator.normal(size=(n, dim)).astype(np.float32)
    documents = Dense(
        generator.normal(size=(m, dim)).astype(np.float32), dim, similarity=similarity
    ).quantise(storage)
    found, scores = scan(query, documents, m, kernels=kernels(level), block=block)
    assert np.sort(found).tolist() == [list(range(m))] * n
    expected = documents.floats().astype(np.float64), query.astype(np.float64)
    values = FUNCTIONS[similarity](expected[1], expected[0])
    if similarity == "euclidean":  # the kernel orders by 2 q.d - |d|^2
        values = (expected[1] ** 2).sum(1)[:, None] - values**2
    np.testing.assert_allclose(
        scores, np.take_along_axis(values, found, 1), rtol=2e-5, atol=2e-5 * dim
    )
    final = (
        rescored(query, documents, found, m, kernels=kernels(level)),
        rescored(query, documents, found, m, kernels=None),
    )
    np.testing.assert_allclose(final[0][1], final[1][1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("storage", list(STORAGES))
@pytest.mark.parametrize("similarity", sorted(FUNCTIONS))
def test_a_pairs_score_is_the_same_alone_and_among_others(similarity: str, storage: str) -> None:
    query = clustered(11, seed=1, similarity=similarity).floats()
    documents = clustered(100, similarity=similarity).quantise(storage)
    found, scores = scan(query, documents, 9, kernels=kernels())
    for row in range(11):
        for block in (1, 7, 64):
            alone = scan(query[row : row + 1], documents, 9, kernels=kernels(), block=block)
            np.testing.assert_array_equal(alone[0][0], found[row])
            np.testing.assert_array_equal(alone[1][0], scores[row])


@pytest.mark.parametrize("storage", list(STORAGES))
def test_documents_are_read_where_they_lie_whatever_their_strides(storage: str) -> None:
    query, documents = clustered(4, seed=1).floats(), clustered(90).quantise(storage)
    for chosen in (slice(None, None, -1), slice(5, None, 3), [3, 1, 80]):
        part = documents[chosen]
        np.testing.assert_array_equal(
            scan(query, part, 5, kernels=kernels())[0], numpy_scan(query, part, 5)[0]
        )
    wide = replace(documents, vectors=np.asfortranarray(documents.vectors))
    np.testing.assert_array_equal(
        scan(query, wide, 5, kernels=kernels())[0], scan(query, documents, 5, kernels=kernels())[0]
    )


@pytest.mark.parametrize("similarity", sorted(FUNCTIONS))
def test_values_too_large_to_score_are_an_error_by_either(similarity: str) -> None:
    documents = Dense(np.full((40, 20), 1e30, np.float32), 20, similarity=similarity)
    documents.vectors[:21] = 1
    for chosen in (kernels(), None):
        with pytest.raises(InputError, match="document 21 has a score of NaN or infinity"):
            scan(
                np.full((2, 20), 1e20 if similarity == "dot" else 1, np.float32),
                documents,
                3,
                kernels=chosen,
            )
