"""`nearfield search` by BM25, by the default model, and by both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nearfield.cli.app import build
from nearfield.encoders.load import load_encoder

TEXTS = ["A cat sleeps on the mat.", "Tax law for small firms.", "Ships sail over the sea. " * 20, "How bread is baked."]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number, text in enumerate(TEXTS):
        (folder / f"{number}.txt").write_text(text)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build(), ["search", *map(str, arguments)])


def test_bm25_finds_what_has_the_word(texts: Path) -> None:
    result = run(texts, "a sleeping cat", "--model", "bm25", "--json")
    assert result.exit_code == 0, result.output
    (hit,) = json.loads(result.stdout)["results"]
    assert (hit["rank"], hit["text"].strip()) == (1, TEXTS[0])
    assert hit["score"] > 0
    shown = run(texts, "ship", "--model", "bm25").stdout
    assert "Ships sail" in shown
    assert "…" in shown
    assert "Nothing was found" in run(texts, "zebra", "--model", "bm25").stdout


def test_a_model_with_vectors_now_or_made_before(texts: Path, tmp_path: Path, minilm: Path) -> None:
    now = json.loads(run(texts, "kitten", "--model", minilm, "-k", 2, "--json").stdout)["results"]
    assert [hit["rank"] for hit in now] == [1, 2]
    assert now[0]["text"].strip() == TEXTS[0]
    encoder = load_encoder(minilm)
    order = [path.read_text() for path in sorted(texts.iterdir())]
    encoder.encode(order, "document").truncate(128).quantise("int8").save(tmp_path / "vectors")
    before = json.loads(run(texts, "kitten", "--model", minilm, "--vectors", tmp_path / "vectors", "--json").stdout)["results"]
    assert before[0]["id"] == now[0]["id"]
    encoder.encode(order[:2], "document").save(tmp_path / "fewer")
    wrong = run(texts, "kitten", "--model", minilm, "--vectors", tmp_path / "fewer")
    assert wrong.exit_code == 2
    assert "holds 2 vectors, texts has 4 documents" in wrong.stderr
    encoder.encode(order[::-1], "document").save(tmp_path / "turned", ids=["3", "2", "1", "0"])
    turned = run(texts, "kitten", "--model", minilm, "--vectors", tmp_path / "turned")
    assert turned.exit_code == 2
    assert "names other documents than texts has, or in another order" in turned.stderr


def test_fused_shows_both_ranks(texts: Path, minilm: Path) -> None:
    hits = json.loads(run(texts, "the cat", "--model", minilm, "--fuse", "--json").stdout)["results"]
    assert hits[0]["ranks"] == {str(minilm): 1, "bm25": 1}
    assert hits[1]["ranks"]["bm25"] is None
    shown = run(texts, "the cat", "--model", minilm, "--fuse").stdout
    assert "bm25" in shown


def test_bad_input(texts: Path) -> None:
    result = run("nowhere", "cat", "--model", "bm25")
    assert result.exit_code == 2
    assert "nowhere: does not exist" in result.stderr
    assert run(texts, "cat", "-k", 0).exit_code == 2
