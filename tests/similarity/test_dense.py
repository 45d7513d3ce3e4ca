from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nearfield.errors import ContractError, InputError, ModelError
from nearfield.similarity.dense import Dense, checked_finite
from nearfield.similarity.storages import STORAGES
from nearfield.types.usage import Usage

FLOATS = st.floats(-4, 4, width=32, allow_subnormal=False)
TABLES = st.tuples(st.integers(1, 6), st.integers(1, 20)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=FLOATS)
)


def dense(rows: int = 7, dim: int = 12, *, seed: int = 0) -> Dense:
    vectors = np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Dense(
        vectors, dim, usage=Usage(items=rows, tokens=50, truncated=1, tokens_lost=3, seconds=0.5)
    )


def test_truncate_cuts_and_renormalises_by_naive_loops() -> None:
    whole, cut = dense(), dense().truncate(5)
    assert (cut.dim, cut.vectors.shape) == (5, (7, 5))
    for row, vector in enumerate(whole.vectors):
        length = sum(float(x) ** 2 for x in vector[:5]) ** 0.5
        np.testing.assert_allclose(cut.vectors[row], vector[:5] / length, rtol=1e-5)


def test_truncate_without_normalisation_only_cuts() -> None:
    whole = Dense(3 * dense().vectors, 12, normalise=False)
    np.testing.assert_array_equal(whole.truncate(4).vectors, whole.vectors[:, :4])


def test_truncate_applies_the_layer_norm_first_and_once() -> None:
    whole = dense()
    cut = Dense(whole.vectors, 12, layer_norm=True).truncate(6)
    for row, vector in enumerate(whole.vectors.astype(np.float64)):
        normed = (vector - vector.mean()) / np.sqrt(vector.var() + 1e-5)
        np.testing.assert_allclose(
            cut.vectors[row], normed[:6] / np.linalg.norm(normed[:6]), rtol=1e-4
        )
    assert not cut.layer_norm


def test_cutting_twice_is_cutting_once() -> None:
    np.testing.assert_allclose(
        dense().truncate(8).truncate(3).vectors, dense().truncate(3).vectors, rtol=1e-5
    )


@pytest.mark.parametrize("normalise", [True, False])
def test_all_dimensions_are_the_vectors_unchanged(normalise: bool) -> None:
    whole = Dense(3 * dense().vectors, 12, layer_norm=True, normalise=normalise)
    assert whole.truncate(12) == whole


@pytest.mark.parametrize("dim", [0, -1, 13, 1000])
def test_a_dim_that_the_vectors_lack_is_an_error(dim: int) -> None:
    with pytest.raises(
        ContractError, match=f"{dim} dimensions were asked for; these vectors have 12"
    ):
        dense().truncate(dim)


@given(vectors=TABLES)
def test_int8_is_off_by_at_most_half_a_step(vectors: np.ndarray) -> None:
    stored = Dense(vectors, vectors.shape[1]).quantise("int8")
    step = (vectors.max(0) - vectors.min(0)) / 255
    assert (np.abs(stored.floats() - vectors) <= step / 2 + 1e-5).all()
    assert stored.bytes_per_item == vectors.shape[1]


@given(vectors=TABLES)
def test_binary_keeps_the_signs(vectors: np.ndarray) -> None:
    dim = vectors.shape[1]
    stored = Dense(vectors, dim).quantise("binary")
    np.testing.assert_array_equal(stored.floats(), np.where(vectors > 0, 1.0, -1.0))
    assert stored.bytes_per_item == -(-dim // 8)


@given(vectors=TABLES)
def test_float16_and_float32_round_as_numpy_does(vectors: np.ndarray) -> None:
    whole = Dense(vectors, vectors.shape[1])
    np.testing.assert_array_equal(whole.quantise("float16").vectors, vectors.astype(np.float16))
    np.testing.assert_array_equal(whole.quantise("float32").vectors, vectors)


def test_int8_ranges_may_be_those_of_other_vectors_and_clip() -> None:
    documents, query = dense(50), Dense(np.full((1, 12), 9, np.float32), 12)
    stored = query.quantise("int8", like=documents)
    np.testing.assert_allclose(stored.floats()[0], documents.vectors.max(0), atol=1e-5)


@pytest.mark.parametrize("storage", ["int8", "binary"])
def test_stored_codes_are_not_cut(storage: str) -> None:
    with pytest.raises(ContractError, match="truncate first, then quantise"):
        dense().quantise(storage).truncate(4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("storage", list(STORAGES))
def test_values_that_are_not_finite_are_not_stored(storage: str, value: float) -> None:
    vectors = dense().vectors.copy()
    vectors[[2, 5], 3] = value
    with pytest.raises(
        InputError, match="2 of these vectors hold NaN or infinite values, the first at 2"
    ):
        Dense(vectors, 12).quantise(storage)
    with pytest.raises(InputError, match="they give no range"):
        dense().quantise("int8", like=Dense(vectors, 12))


def test_values_beyond_float16_are_not_stored_as_infinity() -> None:
    vectors = dense().vectors.copy()
    vectors[4, 0] = 1e6
    with pytest.raises(
        InputError,
        match=r"1 of these vectors .* the first at 4: float16 holds "
        r"values up to 65504; keep float32",
    ):
        Dense(vectors, 12).quantise("float16")


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_a_folder_with_values_that_are_not_finite_is_not_opened(
    tmp_path: Path, storage: str
) -> None:
    stored = dense().quantise(storage)
    (stored.vectors if stored.ranges is None else stored.ranges)[1, 3] = np.nan
    stored.save(tmp_path / "vectors")
    with pytest.raises(
        InputError,
        match=r"npy: holds NaN or infinite values, the first in row 1: "
        r"the file is damaged",
    ):
        Dense.open(tmp_path / "vectors")


def test_an_unknown_storage_names_the_nearest() -> None:
    with pytest.raises(
        ContractError,
        match=r"not stored as 'int9'; wanted one of .*Did you "
        r"mean 'int8'\?",
    ):
        dense().quantise("int9")


@pytest.mark.parametrize("storage", list(STORAGES))
def test_scores_of_stored_documents_equal_those_of_their_decoded_vectors(storage: str) -> None:
    query, documents = dense(3, seed=1), dense(9, seed=2).quantise(storage)
    decoded = documents.floats().astype(np.float64)
    for row, q in enumerate(query.vectors.astype(np.float64)):
        for column, d in enumerate(decoded):
            expected = float(q @ d) / (np.linalg.norm(q) * np.linalg.norm(d))
            assert query.scores(documents)[row, column] == pytest.approx(expected, abs=1e-5)


def test_scores_of_other_dims_are_an_error() -> None:
    with pytest.raises(ContractError, match="queries have 12 dimensions and documents 4"):
        dense().scores(dense().truncate(4))


@pytest.mark.parametrize("storage", list(STORAGES))
@pytest.mark.parametrize("rows", [0, 5])
def test_a_saved_folder_opens_memory_mapped_and_equal(
    tmp_path: Path, storage: str, rows: int
) -> None:
    stored = dense(rows).quantise(storage)
    stored.save(tmp_path / "vectors")
    opened = Dense.open(tmp_path / "vectors")
    assert isinstance(opened.vectors, np.memmap)
    np.testing.assert_array_equal(opened.vectors, stored.vectors)
    np.testing.assert_array_equal(opened.floats(), stored.floats())
    assert (opened.dim, opened.storage, opened.similarity, opened.usage) == (
        12,
        storage,
        "cosine",
        stored.usage,
    )
    np.testing.assert_array_equal(opened[1:3].floats(), stored[1:3].floats())


def test_bad_folders_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"vectors.json: does not exist"):
        Dense.open(tmp_path / "nowhere")
    folder = tmp_path / "vectors"
    dense().save(folder)
    facts = json.loads((folder / "vectors.json").read_text())
    whole = (folder / "vectors.npy").read_bytes()

    (folder / "vectors.npy").write_bytes(whole[:-100])
    with pytest.raises(
        InputError,
        match=r"vectors.npy: says that it holds .* and has 364 bytes: "
        r"it is cut off or damaged",
    ):
        Dense.open(folder)
    (folder / "vectors.npy").write_bytes(whole)
    (folder / "vectors.json").write_text(json.dumps(facts | {"items": 6}))
    with pytest.raises(
        InputError,
        match=r"vectors.npy: holds float32 of shape \(7, 12\); wanted "
        r"float32 of shape \(6, 12\)",
    ):
        Dense.open(folder)
    del facts["dim"]
    (folder / "vectors.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match=r"vectors.json: has no dim; wanted a whole number from 1"):
        Dense.open(folder)
    (folder / "vectors.json").write_text("{")
    with pytest.raises(InputError, match=r"vectors.json:1: is not JSON"):
        Dense.open(folder)


def test_a_full_disk_is_an_error_and_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    dense().save(folder)
    code = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import numpy as np
from nearfield.errors import StorageError
from nearfield.similarity.dense import Dense
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
try:
    Dense(np.zeros((1000, 12), np.float32), 12).save({str(folder)!r})
except StorageError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "vectors: could not be written: the disk may be full (12000 requested and" in ran.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["vectors"]
    np.testing.assert_array_equal(Dense.open(folder).vectors, dense().vectors)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_vectors_that_are_not_finite_are_a_model_error() -> None:
    vectors = dense().vectors.copy()
    assert checked_finite(vectors, "m") is vectors
    vectors[2, 3], vectors[4, 0] = np.nan, np.inf
    with pytest.raises(ModelError, match="m gave NaN or infinite values for 2 of 7 texts"):
        checked_finite(vectors, "m")
