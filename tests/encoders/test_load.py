from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.encoders.lexical import Lexical
from nearfield.encoders.load import known_files, load
from nearfield.errors import ModelError
from nearfield.models.find import model_path
from nearfield.store.fingerprint import model_hash
from tiny import tiny_model


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("jina-clip-v2", "of the kind 'image-text-code'"),
        ("jina-clip-v2", "are code of its folder, which is not run here"),
        ("bge-smal", "is neither a folder nor a model of the catalog. Did you mean 'bge-small'?"),
        (
            "x!",
            "is neither a folder nor a model of the catalog. `nearfield models` lists those "
            "that are.",
        ),
        ("someone/nothing", "there is no such folder"),
        ("é" * 400, "is not a possible name of a folder or a model"),
        ("a/" * 3000, "is not a possible name of a folder or a model"),
    ],
)
def test_what_cannot_be_run_says_why(name: str, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(name)
    assert said in str(caught.value)


def test_what_needs_weights_takes_no_model_behind_an_api() -> None:
    with pytest.raises(ModelError, match="runs only behind OpenAI's API, and this needs its wei"):
        model_path("text-embedding-3-large")


def test_a_name_on_the_hub_finds_the_catalogued_model(minilm: Path) -> None:
    assert model_path("sentence-transformers/all-MiniLM-L6-v2") == model_path("minilm") == minilm
    assert model_path(minilm) == minilm


def test_the_files_of_a_model_are_known_before_it_is_opened_or_fetched(
    minilm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Lexical.fit(["a cat", "a dog"]).save(tmp_path / "words")
    for folder in (tiny_model(tmp_path / "tiny"), tmp_path / "words"):
        assert known_files(folder) == (load(folder).identity or {})["files"]
    (tmp_path / "other").mkdir()
    assert known_files(tmp_path / "other") is None
    assert known_files("minilm") == model_hash(minilm)
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    assert (
        known_files("minilm")
        == known_files("sentence-transformers/all-MiniLM-L6-v2")
        == model_hash(minilm)
    )
    assert known_files("qwen3-embedding-0.6b") is None  # the catalog has no hashes of its files
    assert not (tmp_path / "home").exists()
