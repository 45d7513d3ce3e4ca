from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nearfield.errors import ContractError, InputError
from nearfield.similarity.sparse import Sparse
from nearfield.types.usage import Usage

WEIGHTS = st.one_of(st.just(0.0), st.floats(-4, 4, width=16, allow_subnormal=False))
TABLES = st.tuples(st.integers(0, 6), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=WEIGHTS)
)


def rows(n: int = 6, dim: int = 30, *, seed: int = 0, similarity: str = "dot") -> Sparse:
    generator = np.random.default_rng(seed)
    table = generator.exponential(size=(n, dim)) * (generator.random((n, dim)) < 0.3)
    table[n // 2] = 0
    return Sparse.of(table, similarity=similarity, usage=Usage(items=n, tokens=9))


@given(TABLES)
def test_what_goes_in_comes_out_and_zeros_are_not_stored(table: np.ndarray) -> None:
    stored = Sparse.of(table)
    np.testing.assert_array_equal(stored.matrix().toarray(), table)
    np.testing.assert_array_equal(stored.active, (table != 0).sum(1))
    assert (len(stored), stored.dim) == table.shape


@given(TABLES, st.integers(1, 9))
def test_truncate_keeps_the_largest_weights_by_a_plain_loop(table: np.ndarray, terms: int) -> None:
    cut = Sparse.of(table).truncate(terms).matrix().toarray()
    for row, kept in zip(table, cut, strict=True):
        order = sorted(np.flatnonzero(row), key=lambda term: (-abs(row[term]), term))[:terms]
        expected = np.zeros_like(row)
        expected[order] = row[order]
        np.testing.assert_array_equal(kept, expected)


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_scores_are_those_of_a_plain_double_loop(similarity: str) -> None:
    query, documents = (
        rows(4, seed=1, similarity=similarity),
        rows(7, seed=2, similarity=similarity),
    )
    a, b = (
        query.matrix().toarray().astype(np.float64),
        documents.matrix().toarray().astype(np.float64),
    )
    expected = np.zeros((4, 7))
    for i in range(4):
        for j in range(7):
            expected[i, j] = sum(x * y for x, y in zip(a[i], b[j], strict=True))
            if similarity == "cosine":
                expected[i, j] /= max(np.sqrt((a[i] ** 2).sum() * (b[j] ** 2).sum()), 1e-12)
    np.testing.assert_allclose(query.scores(documents), expected, rtol=1e-5, atol=1e-6)


class Numbers:
    """Terms called by their numbers."""

    def terms(self, numbers: Sequence[int]) -> list[str]:
        return [str(number) for number in numbers]

    def query_tokens(self, count: int) -> list[str]:
        raise AssertionError

    document_tokens = query_tokens


def test_slices_are_the_rows_asked_for_in_their_order() -> None:
    table = rows().matrix().toarray()
    for items in (slice(1, 4), [4, 0, 4], np.array([5]), np.arange(6) % 2 == 0, slice(0, 0)):
        np.testing.assert_array_equal(rows()[items].matrix().toarray(), table[items])


def test_an_explanation_sums_to_the_score() -> None:
    query, documents = rows(3, seed=1), rows(3, seed=2)
    for i in range(3):
        for j in range(3):
            found = query[[i]].explain(documents[[j]], Numbers())
            products = [match.score for match in found]
            assert products == sorted(products, reverse=True)
            assert sum(products) == pytest.approx(query.scores(documents)[i, j], abs=1e-5)


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_a_folder_gives_the_same_rows_back(tmp_path: Path, storage: str) -> None:
    stored = rows().quantise(storage)
    stored.save(tmp_path / "v", ids=list("abcdef"))
    opened = Sparse.open(tmp_path / "v")
    np.testing.assert_array_equal(opened.matrix().toarray(), stored.matrix().toarray())
    assert (opened.storage, opened.similarity, opened.usage, opened.dim) == (
        storage,
        "dot",
        stored.usage,
        30,
    )
    assert isinstance(opened.weights, np.memmap)
    assert (tmp_path / "v" / "ids.jsonl").read_text(encoding="utf-8").split() == [
        f'"{name}"' for name in "abcdef"
    ]


def test_a_folder_whose_parts_do_not_fit_is_refused(tmp_path: Path) -> None:
    rows().save(tmp_path / "v")
    np.save(tmp_path / "v" / "terms.npy", np.zeros(3, np.int32))
    with pytest.raises(
        InputError,
        match=r"terms.npy: holds int32 of shape \(3,\); wanted int32 "
        r"of shape \(43,\)",
    ):
        Sparse.open(tmp_path / "v")
    (tmp_path / "v" / "weights.npy").unlink()
    with pytest.raises(InputError, match=r"weights.npy: does not exist"):
        Sparse.open(tmp_path / "v")


def test_what_cannot_be_is_an_error_that_says_what_was_wanted() -> None:
    with pytest.raises(InputError, match="NaN or infinite"):
        Sparse.of(np.array([[np.nan, 1.0]]))
    with pytest.raises(InputError, match="too large for float16"):
        Sparse.of(np.array([[1e6]])).quantise("float16")
    with pytest.raises(ContractError, match="'int8'; wanted one of float32, float16"):
        rows().quantise("int8")
    with pytest.raises(ContractError, match="30 terms and documents 8"):
        rows().scores(rows(dim=8))
    with pytest.raises(ContractError, match="0 terms per vector"):
        rows().truncate(0)
    with pytest.raises(ContractError, match=r"no similarity 'cosin'.*Did you mean 'cosine'"):
        Sparse.of(np.eye(2), similarity="cosin")


def test_bytes_are_those_on_disk(tmp_path: Path) -> None:
    rows().save(tmp_path / "v")
    sizes = (
        sum(
            np.load(tmp_path / "v" / f"{name}.npy").nbytes
            for name in ("weights", "terms", "offsets")
        )
        - 8
    )
    assert rows().bytes_per_item == pytest.approx(sizes / 6)
