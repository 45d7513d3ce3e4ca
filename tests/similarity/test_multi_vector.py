from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfield.errors import ContractError, InputError
from nearfield.similarity import multi_vector
from nearfield.similarity.dense import Dense
from nearfield.similarity.functions import unit
from nearfield.similarity.multi_vector import MultiVector
from nearfield.types.usage import Usage


def items(
    *lengths: int, dim: int = 6, seed: int = 0, similarity: str = "cosine", average: bool = False
) -> MultiVector:
    vectors = unit(np.random.default_rng(seed).normal(size=(sum(lengths), dim)).astype(np.float32))
    offsets = np.cumsum([0, *lengths]).astype(np.int64)
    return MultiVector(
        Dense(vectors, dim, similarity=similarity), offsets, average, Usage(items=len(lengths))
    )


def naive(query: MultiVector, documents: MultiVector) -> np.ndarray:
    scored = np.zeros((len(query), len(documents)))
    q, d = query.tokens.floats().astype(np.float64), documents.tokens.floats().astype(np.float64)
    for i in range(len(query)):
        own = q[query.offsets[i] : query.offsets[i + 1]]
        for j in range(len(documents)):
            theirs = d[documents.offsets[j] : documents.offsets[j + 1]]
            scored[i, j] = sum(max((float(a @ b) for b in theirs), default=-np.inf) for a in own)
            if query.average:
                scored[i, j] /= max(1, len(own))
    return scored


LENGTHS = st.lists(st.integers(0, 4), min_size=1, max_size=6)


@given(LENGTHS, LENGTHS, st.booleans())
def test_scores_are_those_of_plain_loops_also_with_empty_items(
    query: list[int], documents: list[int], average: bool
) -> None:
    a, b = items(*query, seed=1, average=average), items(*documents, seed=2)
    np.testing.assert_allclose(a.scores(b), naive(a, b), atol=1e-5)


def test_scores_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    query, documents = items(3, 2, seed=1), items(4, 0, 9, 1, 5, 0, seed=2)
    whole = query.scores(documents)
    monkeypatch.setattr(multi_vector, "_BLOCK", 5)
    monkeypatch.setattr(multi_vector, "_ASKED", 3)
    np.testing.assert_allclose(query.scores(documents), whole, atol=1e-6)


def test_slices_cuts_and_storages_reach_the_tokens() -> None:
    whole = items(3, 0, 2, 4)
    np.testing.assert_array_equal(
        whole[[3, 0]].tokens.vectors, whole.tokens.vectors[[5, 6, 7, 8, 0, 1, 2]]
    )
    assert whole[[3, 0]].lengths.tolist() == [4, 3]
    assert whole.truncate(4).dim == 4
    small = whole.quantise("int8")
    assert (small.storage, small.similarity) == ("int8", "cosine")
    assert small.bytes_per_item == pytest.approx((9 * 6 + 4 * 8) / 4)
    np.testing.assert_allclose(small.scores(small), whole.scores(whole), atol=0.1)


def test_pooling_joins_the_most_alike_tokens_and_keeps_the_first() -> None:
    near = np.array([[1, 0, 0], [0, 1, 0], [0.02, 1, 0], [0, 0, 1], [0, 0.02, 1]], np.float32)
    whole = MultiVector(Dense(unit(near), 3), np.array([0, 5]))
    pooled = whole.pool(2)
    assert pooled.lengths.tolist() == [3]
    np.testing.assert_array_equal(pooled.tokens.vectors[0], whole.tokens.vectors[0])
    means = sorted(
        [
            unit(unit(near)[1:3].mean(0, keepdims=True))[0].tolist(),
            unit(unit(near)[3:5].mean(0, keepdims=True))[0].tolist(),
        ]
    )
    np.testing.assert_allclose(sorted(pooled.tokens.vectors[1:].tolist()), means, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(pooled.tokens.vectors, axis=1), 1, atol=1e-6)


@given(LENGTHS, st.integers(1, 4))
def test_pooling_leaves_the_number_of_vectors_that_it_says(lengths: list[int], factor: int) -> None:
    pooled = items(*lengths).pool(factor)
    assert pooled.lengths.tolist() == [
        n if n < 2 else 1 + max(1, (n - 1) // factor) for n in lengths
    ]
    assert np.isfinite(pooled.tokens.vectors).all()


@pytest.mark.parametrize(("factor", "keep"), [(2, 1), (3, 0), (4, 2)])
def test_pooling_is_that_of_sentence_transformers(factor: int, keep: int) -> None:
    from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling

    whole = items(40, 7, 1, 23, dim=16)
    parts = [torch.from_numpy(whole[[at]].tokens.vectors) for at in range(len(whole))]
    theirs = HierarchicalTokenPooling(factor, num_protected_tokens=keep).pool(parts)
    pooled = whole.pool(factor, keep=keep)
    assert pooled.lengths.tolist() == [len(part) for part in theirs]
    np.testing.assert_allclose(
        pooled.tokens.vectors, np.concatenate([part.numpy() for part in theirs]), atol=1e-6
    )


def test_pooling_by_one_changes_nothing() -> None:
    np.testing.assert_array_equal(items(3, 2).pool(1).tokens.vectors, items(3, 2).tokens.vectors)


@pytest.mark.parametrize(("storage", "factor"), [("float32", 0), ("int8", 2), ("binary", 2)])
def test_what_cannot_be_pooled_is_an_error(storage: str, factor: int) -> None:
    with pytest.raises(ContractError, match="wanted a factor of at least 1 and float tokens"):
        items(3, 2).quantise(storage).pool(factor)


@pytest.mark.parametrize("storage", ["float32", "float16", "int8", "binary"])
def test_a_folder_gives_the_same_items_back(tmp_path: Path, storage: str) -> None:
    stored = items(3, 0, 2, average=True).quantise(storage)
    stored.save(tmp_path / "v", ids=["a", "b", "c"])
    opened = MultiVector.open(tmp_path / "v")
    np.testing.assert_array_equal(opened.tokens.vectors, stored.tokens.vectors)
    np.testing.assert_array_equal(opened.offsets, stored.offsets)
    assert (opened.average, opened.storage, opened.usage) == (True, storage, stored.usage)


def test_a_folder_whose_parts_do_not_fit_is_refused(tmp_path: Path) -> None:
    items(3, 2).save(tmp_path / "v")
    np.save(tmp_path / "v" / "offsets.npy", np.array([0, 3, 9]))
    with pytest.raises(
        InputError,
        match=r"offsets.npy: runs from 0 to 9; wanted offsets that "
        r"rise from 0 to 5",
    ):
        MultiVector.open(tmp_path / "v")
    (tmp_path / "v" / "offsets.npy").unlink()
    with pytest.raises(InputError, match=r"offsets.npy: does not exist"):
        MultiVector.open(tmp_path / "v")
