"""What the cache holds is shown, and removed by kind, model and age; what is not named stays."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfield.store.vector_cache import VectorCache
from nearfield.vectors.cached import KINDS, cached

Run = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with something of each kind, made by what makes it where that is quick."""
    place = tmp_path / "home"
    monkeypatch.setenv("NEARFIELD_HOME", str(place))
    conversion = place / "conversions" / "openvino-float32-0123"
    conversion.mkdir(parents=True)
    (place / "models" / "minilm").mkdir(parents=True)
    (place / "models" / "minilm" / "model.safetensors").write_bytes(b"w" * 1000)
    facts = json.dumps({"model": "minilm"})
    (conversion / "conversion.json").write_text(facts)
    (conversion / "model.bin").write_bytes(b"c" * (100 - len(facts)))
    (place / "models" / ".minilm.download-1").mkdir()
    for model, prompt in (("minilm", ""), ("bge-small", "query: ")):
        facts = {
            "files": model,
            "runtime": "native",
            "precision": "float32",
            "prompt": prompt,
            "dim": "8",
        }
        vectors = VectorCache.open(facts, model=model)
        assert vectors is not None
        vectors.add([b"1" * 16], [np.ones(8, np.float32).tobytes()], np.ones((1, 3), np.int64))
        vectors.close()
    rows = tmp_path / "questions.jsonl"
    rows.write_text(json.dumps({"query": "q", "positive": "p"}) + "\n")
    (tmp_path / "words.txt").write_text("cat 1 2\ndog 3 4\n")
    return place


@pytest.fixture
def full(home: Path, tmp_path: Path) -> Path:
    from nearfield.data.open import open_collection
    from nearfield.data.word_vectors import word_folder

    open_collection(tmp_path / "questions.jsonl")
    word_folder(tmp_path / "words.txt")
    return home


def test_everything_is_shown_with_its_size(cli: Run, full: Path) -> None:
    shown = cli("cache", "show", "--json")
    assert shown.exit_code == 0
    told = json.loads(shown.stdout)
    assert told["folder"] == str(full)
    items = told["items"]
    assert [item["kind"] for item in items] == [
        "models",
        "conversions",
        "vectors",
        "vectors",
        "collections",
        "words",
    ]
    assert told["bytes"] == sum(item["size"] for item in items)
    by_kind = {item["kind"]: item for item in items}
    assert (by_kind["models"]["size"], by_kind["conversions"]["size"]) == (1000, 100)
    assert (by_kind["conversions"]["model"], by_kind["conversions"]["about"]) == (
        "minilm",
        "for openvino float32",
    )
    assert by_kind["collections"]["about"] == "a collection, converted: questions"
    assert by_kind["words"]["model"] == "words"
    bge = next(item for item in items if item["model"] == "bge-small")
    assert bge["about"] == "vectors of 1 texts, 8 dimensions, native float32, prompt 'query: '"
    table = cli("cache", "show", "vectors").stdout
    assert "bge-small" in table
    assert "2 items" in table


def test_clearing_takes_what_was_named_and_nothing_else(cli: Run, full: Path) -> None:
    assert "would be removed" in cli("cache", "clear", "all", "--dry-run").stdout
    assert len(cached()) == 6
    assert cli("cache", "clear", "vectors", "--model", "minilm").exit_code == 0
    assert [item.model for item in cached(["vectors"])] == ["bge-small"]
    assert (
        json.loads(cli("cache", "clear", "vectors", "words", "--older-than", "1", "--json").stdout)[
            "items"
        ]
        == []
    )
    for file in (full / "vectors").iterdir():
        os.utime(file, (1e9, 1e9))
    assert (
        len(
            json.loads(
                cli("cache", "clear", "vectors", "words", "--older-than", "1", "--json").stdout
            )["items"]
        )
        == 1
    )
    assert list((full / "vectors").iterdir()) == []
    assert cli("cache", "clear", "conversions").exit_code == 0
    assert (full / "models" / "minilm" / "model.safetensors").is_file()
    assert cli("cache", "clear", "all").exit_code == 0
    assert cached() == []
    assert "0 items" in cli("cache", "show").stdout


def test_bad_requests(cli: Run, full: Path) -> None:
    (full / "vectors" / "damaged.sqlite").write_bytes(b"no database")
    assert "damaged" in cli("cache", "show", "vectors").stdout
    shown = cli("cache", "clear", "vector")
    assert (shown.exit_code, "Did you mean 'vectors'?" in shown.stderr) == (2, True)
    shown = cli("cache", "clear", "all", "--model", "tinny")
    assert (
        shown.exit_code,
        "nothing of these kinds in the cache is of a model 'tinny'" in shown.stderr,
    ) == (0, True)
    assert "0 items" in shown.stdout
    assert "give it alone" in cli("cache", "clear", "all", "words").stderr
    assert cli("cache", "clear").exit_code == 2
    assert set(KINDS) == {
        "models",
        "conversions",
        "merged",
        "tensors",
        "vectors",
        "collections",
        "words",
        "queries",
    }
