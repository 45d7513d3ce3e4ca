from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.encoders.load import load_encoder, model_path
from nearfield.errors import ModelError


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "text-embedding-3-large",
            "runs only behind OpenAI's API, which load_encoder does not ask; wanted a local model",
        ),
        ("siglip-base", "of the kind 'image-text'"),
        ("bge-smal", "is neither a folder nor a model of the catalog. Did you mean 'bge-small'?"),
        ("x!", "is neither a folder nor a model of the catalog. `nearfield models` lists those that are."),
        ("someone/nothing", "there is no such folder"),
    ],
)
def test_what_cannot_be_run_says_why(name: str, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_encoder(name)
    assert said in str(caught.value)


def test_a_name_on_the_hub_finds_the_catalogued_model(minilm: Path) -> None:
    assert model_path("sentence-transformers/all-MiniLM-L6-v2") == model_path("minilm") == minilm
    assert model_path(minilm) == minilm
