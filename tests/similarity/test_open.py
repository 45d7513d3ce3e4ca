from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nearfield.errors import ContractError, InputError
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.fused import Fused
from nearfield.similarity.multi_vector import MultiVector
from nearfield.similarity.open import open_embeddings
from nearfield.similarity.sparse import Sparse

EACH: list[Embeddings] = [
    Dense(np.eye(3, dtype=np.float32), 3),
    MultiVector(Dense(np.eye(3, dtype=np.float32), 3), np.array([0, 2, 3])),
    Sparse.of(np.eye(3)),
]
EACH.append(Fused({"dense": EACH[0][:2], "sparse": EACH[2][:2], "multi-vector": EACH[1][:2]}))


@pytest.mark.parametrize("embeddings", EACH, ids=lambda each: each.kind)
def test_each_kind_opens_as_what_it_is(tmp_path: Path, embeddings: Embeddings) -> None:
    embeddings.save(tmp_path / "v")
    opened = open_embeddings(tmp_path / "v")
    assert type(opened) is type(embeddings)
    np.testing.assert_array_equal(opened.scores(opened), embeddings.scores(embeddings))


def test_the_registry_holds_every_kind_under_its_own_name() -> None:
    assert {each.kind for each in EACH} == set(EMBEDDINGS)


def test_a_folder_without_a_kind_is_dense_and_an_unknown_kind_an_error(tmp_path: Path) -> None:
    EACH[0].save(tmp_path / "v")
    facts = json.loads((tmp_path / "v" / "vectors.json").read_text(encoding="utf-8"))
    del facts["kind"]
    (tmp_path / "v" / "vectors.json").write_text(json.dumps(facts), encoding="utf-8")
    assert isinstance(open_embeddings(tmp_path / "v"), Dense)
    (tmp_path / "v" / "vectors.json").write_text(
        json.dumps(facts | {"kind": "spars"}), encoding="utf-8"
    )
    with pytest.raises(InputError, match=r"kind 'spars'.*Did you mean 'sparse'"):
        open_embeddings(tmp_path / "v")


@pytest.mark.parametrize("embeddings", EACH, ids=lambda each: each.kind)
def test_joined_parts_are_the_items_one_after_the_other(embeddings: Embeddings) -> None:
    n = len(embeddings)
    joined = type(embeddings).join([embeddings[1:], embeddings[:0], embeddings[:1]])
    assert len(joined) == n
    expected = embeddings.scores(embeddings)[[*range(1, n), 0]]
    np.testing.assert_array_equal(joined.scores(embeddings), expected)


def test_int8_codes_of_other_ranges_are_not_joined() -> None:
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    first, second = Dense(vectors[:3], 4).quantise("int8"), Dense(vectors[3:], 4).quantise("int8")
    assert len(Dense.join([first, first])) == 6
    with pytest.raises(ContractError, match="other ranges cannot be joined"):
        Dense.join([first, second])
