from __future__ import annotations

from pathlib import Path

import pytest
import torch

from late_models import assert_same_as_peer
from nasty import nasty_texts
from nearfield.encoders.load import load
from nearfield.errors import InputError
from nearfield.models.model import TextModel
from nearfield.models.surgery.new_head import HeadOptions, new_head
from tiny import tiny_model


@pytest.mark.filterwarnings("ignore")
def test_a_new_head_gives_what_sentence_transformers_gives(tmp_path: Path) -> None:
    stated = {
        "prompts": {"query": "query : ", "document": "passage : "},
        "similarity_fn_name": "cosine",
    }
    source = tiny_model(tmp_path / "dense", config_sentence_transformers=stated)
    made = new_head(source, "late-interaction", to=tmp_path / "late", options=HeadOptions(dim=8))
    assert (made.contract.kind, made.contract.name, made.contract.dim) == (
        "multi-vector",
        "dense-late-interaction",
        8,
    )
    assert made.contract.prompts == stated["prompts"]
    before, after = (
        TextModel.open(folder).backbone.state_dict() for folder in (source, tmp_path / "late")
    )
    assert all(torch.equal(weight, before[name]) for name, weight in after.items())
    assert_same_as_peer(tmp_path / "late", load(tmp_path / "late"), nasty_texts(40))


def test_more_dimensions_than_the_states_have_are_an_error(tmp_path: Path) -> None:
    source = tiny_model(tmp_path / "dense")
    with pytest.raises(
        InputError,
        match="a token's vector of 33 dimensions was asked for; wanted 1 to 32",
    ):
        new_head(source, "late-interaction", to=tmp_path / "late", options=HeadOptions(dim=33))
    assert not (tmp_path / "late").exists()
