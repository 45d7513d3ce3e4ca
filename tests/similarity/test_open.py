from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nearfield.errors import ContractError, InputError
from nearfield.similarity.dense import Dense
from nearfield.similarity.open import open_embeddings


def test_a_folder_without_a_kind_is_dense_and_an_unknown_kind_an_error(tmp_path: Path) -> None:
    Dense(np.eye(3, dtype=np.float32), 3).save(tmp_path / "v")
    facts = json.loads((tmp_path / "v" / "vectors.json").read_text(encoding="utf-8"))
    del facts["kind"]
    (tmp_path / "v" / "vectors.json").write_text(json.dumps(facts), encoding="utf-8")
    assert isinstance(open_embeddings(tmp_path / "v"), Dense)
    (tmp_path / "v" / "vectors.json").write_text(
        json.dumps(facts | {"kind": "spars"}), encoding="utf-8"
    )
    with pytest.raises(InputError, match=r"kind 'spars'.*Did you mean 'sparse'"):
        open_embeddings(tmp_path / "v")


def test_int8_codes_of_other_ranges_are_not_joined() -> None:
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    first, second = Dense(vectors[:3], 4).quantise("int8"), Dense(vectors[3:], 4).quantise("int8")
    assert len(Dense.join([first, first])) == 6
    with pytest.raises(ContractError, match="other ranges cannot be joined"):
        Dense.join([first, second])
