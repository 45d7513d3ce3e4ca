"""A folder that holds something else than an encoder says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.encoders.text import TextEncoder
from nearfield.errors import ModelError
from nearfield.models.find import model_path
from tiny import tiny_model
from tiny_cross import tiny_cross


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("lexical.json", "is a bag of words"),
        ("adapter.json", "is an adapter of query vectors"),
        ("bridge.json", "is a bridge"),
        ("recipe.json", "it is not finished and has no model yet"),
    ],
)
def test_a_folder_is_called_what_it_is(file: str, said: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text("{}")
    with pytest.raises(ModelError, match=said):
        model_path(tmp_path)


def test_vectors_runs_and_cross_encoders_name_what_to_give_instead(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "model")
    TextEncoder.open(model).encode(["a cat", "a dog"], "document").save(
        tmp_path / "vectors", ids=["1", "2"]
    )
    with pytest.raises(
        ModelError, match="vectors: holds vectors by `nearfield encode` and no model"
    ):
        model_path(tmp_path / "vectors")
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(ModelError, match=r"is the folder of a run; its model is .*model"):
        model_path(tmp_path)
    with pytest.raises(ModelError, match=r"is a cross-encoder.*--rerank"):
        model_path(tiny_cross(tmp_path / "cross"))
    assert model_path(model) == model
