from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nearfield.encoders.load import load
from nearfield.errors import InputError
from nearfield.models.model import TextModel
from nearfield.models.surgery.new_head import HeadOptions, new_head
from nearfield.models.surgery.start import WEIGHT, principal_layer
from peer import assert_same_as_sentence_transformers
from tiny import tiny_model

TEXTS = ["a cat and a dog", "", "read a file line by line", "the cat, the cat : the sun"]


@pytest.mark.parametrize("kind", ["bert", "distilbert", "mpnet"])
def test_the_dense_vectors_stay_and_two_heads_come_beside_them(tmp_path: Path, kind: str) -> None:
    stated = {"prompts": {"query": "query : ", "document": ""}, "similarity_fn_name": "cosine"}
    source = tiny_model(tmp_path / "dense", kind=kind, config_sentence_transformers=stated)
    made = new_head(source, "three", to=tmp_path / "three", options=HeadOptions(dim=8))
    assert (made.contract.kind, made.contract.name, made.contract.dim) == (
        "several",
        "dense-three",
        32,
    )
    encoder, before = load(tmp_path / "three"), load(source)
    found: Any = encoder.encode(TEXTS, "query")
    np.testing.assert_allclose(
        found.parts["dense"].vectors, before.encode(TEXTS, "query").vectors, atol=1e-5
    )
    assert found.parts["multi-vector"].dim == 8
    for row, text in enumerate(TEXTS):
        tokens = encoder.tokenise([text], "query").of(0)
        own = set(tokens.tolist()) - {0, 1, 2, 3}
        assert set(found.parts["sparse"][[row]].terms.tolist()) == own
        assert found.parts["multi-vector"].lengths[row] == len(tokens) - 1
    np.testing.assert_allclose(found.parts["sparse"].weights, WEIGHT, rtol=1e-6)
    (tmp_path / "three" / "nearfield.json").write_text(
        '{"contract": {"kind": "dense"}}', encoding="utf-8"
    )
    assert_same_as_sentence_transformers(tmp_path / "three", TEXTS)


def test_it_is_the_same_each_time_and_a_bad_option_is_refused(tmp_path: Path) -> None:
    source = tiny_model(tmp_path / "dense")
    for name in ("one", "two"):
        new_head(source, "three", to=tmp_path / name)
    for file in ("colbert_linear.pt", "sparse_linear.pt"):
        weights = [torch.load(tmp_path / name / file, weights_only=True) for name in ("one", "two")]
        assert all(torch.equal(weights[0][key], weights[1][key]) for key in ("weight", "bias"))
    with pytest.raises(InputError, match="33 dimensions was asked for; wanted 1 to 32"):
        new_head(source, "three", to=tmp_path / "three", options=HeadOptions(dim=33))


def test_a_token_is_projected_onto_the_directions_in_which_states_vary_most() -> None:
    generator = torch.Generator().manual_seed(0)
    states = (
        torch.randn(50, 6, generator=generator) * torch.tensor([9.0, 5.0, 3.0, 0.1, 0.1, 0.1]) + 7
    )
    centred = (states - states.mean(0)).double()
    projected = principal_layer(states, 3)(states.numpy()).astype(np.float64)
    np.testing.assert_allclose(projected @ projected.T, centred @ centred.T, atol=0.5)
    assert principal_layer(states[:2], 6).weights["linear.weight"].shape == (6, 6)


def test_a_folder_without_modules_gets_them(tmp_path: Path) -> None:
    source = tiny_model(tmp_path / "dense")
    (source / "modules.json").unlink()
    (source / "nearfield.json").write_text('{"contract": {"pooling": "cls"}}', encoding="utf-8")
    new_head(source, "three", to=tmp_path / "three")
    model = TextModel.open(tmp_path / "three")
    assert (model.contract.kind, model.contract.pooling) == ("several", "cls")
