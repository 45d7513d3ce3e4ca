from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nearfield.errors import ContractError, InputError
from nearfield.similarity.dense import Dense
from nearfield.train.data.frozen import FrozenVectors, stored_vectors
from tiny_data import tiny_collection


def folder(path: Path, ids: list[str] | None, vectors: np.ndarray, *, plain: bool = False) -> Path:
    if plain:
        path.mkdir()
        np.save(path / "vectors.npy", vectors)
        if ids is not None:
            (path / "ids.jsonl").write_text(
                "".join(json.dumps(key) + "\n" for key in ids), encoding="utf-8"
            )
    else:
        Dense(vectors, vectors.shape[1]).save(path, ids=ids)
    return path


@pytest.mark.parametrize("plain", [True, False])
def test_vectors_come_in_the_order_of_the_ids_asked_for(tmp_path: Path, plain: bool) -> None:
    vectors = np.arange(8, dtype=np.float32).reshape(4, 2)
    found = stored_vectors(
        folder(tmp_path / "v", ["a", "b", "c", "d"], vectors, plain=plain), ["d", "a"], "document"
    )
    assert found.floats().tolist() == [[6, 7], [0, 1]]


def test_a_collections_vectors_are_read_by_id(tmp_path: Path) -> None:
    collection = tiny_collection(queries=12)
    generator = np.random.default_rng(0)
    documents, queries = (generator.normal(size=(12, 4)).astype(np.float32) for _ in range(2))
    backwards = folder(
        tmp_path / "d", list(collection.document_ids)[::-1], documents[::-1].copy(), plain=True
    )
    read = FrozenVectors.read(
        backwards, folder(tmp_path / "q", list(collection.query_ids), queries), collection
    )
    np.testing.assert_array_equal(read.documents.floats(), documents)
    test = collection.split("test")
    rows = [list(collection.query_ids).index(key) for key in test.query_ids]
    np.testing.assert_array_equal(read.of_split(test).floats(), queries[rows])
    other = folder(tmp_path / "other", list(collection.query_ids), queries[:, :3].copy())
    with pytest.raises(ContractError, match="4 dimensions and queries 3"):
        FrozenVectors.read(backwards, other, collection)


def test_what_is_missing_or_does_not_fit_is_named(tmp_path: Path) -> None:
    vectors = np.ones((3, 2), np.float32)
    with pytest.raises(InputError, match="1 of 2 ids have no query vector, the first is 'z'"):
        stored_vectors(folder(tmp_path / "a", ["x", "y", "w"], vectors), ["x", "z"], "query")
    with pytest.raises(InputError, match="3 vectors and 2 ids"):
        stored_vectors(folder(tmp_path / "b", ["x", "y"], vectors, plain=True), ["x"], "query")
    with pytest.raises(InputError, match=r"no ids\.jsonl and 3 vectors for 2 ids"):
        stored_vectors(folder(tmp_path / "c", None, vectors, plain=True), ["x", "y"], "query")
    with pytest.raises(InputError, match="NaN or infinite"):
        stored_vectors(
            folder(tmp_path / "d", ["x", "y", "z"], vectors * np.nan, plain=True), ["x"], "query"
        )
    with pytest.raises(InputError, match=r"int64 of shape \(3,\)"):
        stored_vectors(folder(tmp_path / "e", None, np.arange(3), plain=True), ["x"], "query")
    with pytest.raises(InputError, match=r"vectors\.npy: does not exist"):
        stored_vectors(tmp_path, ["x"], "query")
    broken = folder(tmp_path / "f", ["x", "y", "z"], vectors)
    (broken / "ids.jsonl").write_text('"x"\nno\n"z"\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"ids\.jsonl:2: is not JSON"):
        stored_vectors(broken, ["x"], "query")
