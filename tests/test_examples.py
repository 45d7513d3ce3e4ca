"""The examples, run as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nearfield.train.recipe import Recipe
from scripts import printed
from tiny import tiny_model
from tiny_data import tiny_collection
from vendors import loopback


def run(repository: Path, example: str, *arguments: str | Path) -> str:
    return printed(repository / "examples" / example, *arguments)


def test_api_model(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_collection(queries=20).save(tmp_path / "data")
    with loopback() as vendor:
        monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
        model = f"tei:{vendor.url}/tei#minilm"
        shown = run(repository, "api_model.py", tmp_path / "data", model, "0")
    assert "20 items" in shown
    assert "paid $0.000000" in shown


def test_your_own_data(repository: Path, tmp_path: Path) -> None:
    shown = run(repository, "your_own_data.py", tiny_model(tmp_path / "model"))
    assert "bm25" in shown
    assert "nDCG@10" in shown


def test_tune_and_search(repository: Path, tmp_path: Path) -> None:
    made = tiny_collection()
    texts = dict(zip(made.document_ids, made.document_texts, strict=True))
    queries = dict(zip(made.query_ids, made.query_texts, strict=True))
    judged = made.judgements.to_pylist()
    rows = [
        json.dumps({"query": queries[row["query"]], "positive": texts[row["document"]]}) + "\n"
        for row in judged
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(rows))
    shown = run(
        repository,
        "tune_and_search.py",
        tmp_path / "pairs.jsonl",
        tmp_path / "run",
        tiny_model(tmp_path / "tiny"),
    )
    assert "nDCG@10 on 24 queries" in shown
    assert len(shown.splitlines()) == 4


def test_encode_large_file(repository: Path, tmp_path: Path) -> None:
    """In a process of its own, which the others are spared."""
    texts = ["how to open a file", "a cat and a dog", "word " * 100, "a cat and a dog"]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    words = (tmp_path / "texts.txt", tmp_path / "vectors", "cat dog", tiny_model(tmp_path / "tiny"))
    script = repository / "examples" / "encode_large_file.py"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script, *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    told, states, *found = shown.splitlines()
    assert told == "4 rows, 0 failed; 0 vectors came from the cache, 1 rows repeat others"
    assert states == "{'done': 3, 'truncated': 1}"
    assert len(found) == 3


def test_the_recipes_are_recipes(repository: Path) -> None:
    assert Recipe.open(repository / "recipes" / "stdlib.toml") == Recipe(), (
        "the demo's recipe is the default one"
    )
    found = sorted((repository / "recipes").glob("*.toml"))
    assert found
    for path in found:
        Recipe.open(path)
        assert path.read_text().startswith("# nearfield tune "), "the command stands on top"
