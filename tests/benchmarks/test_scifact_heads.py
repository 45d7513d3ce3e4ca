"""The benchmark of new heads, at a size that says nothing of them but that it runs."""

from __future__ import annotations

from pathlib import Path

from scripts import benched
from tiny import tiny_model
from tiny_data import tiny_collection


def test_a_head_is_made_trained_and_measured(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny")
    tiny_collection(queries=80).save(tmp_path / "data")
    words = (tmp_path / "tiny", "--on", tmp_path / "data", "--pairs", "0", "--epochs", "1")
    found = benched("scifact_heads.py", *words, "--before", "--inference-free")
    assert {row["system"] for row in found["rows"]} == {
        "tiny splade",
        "tiny splade before",
        "tiny",
        "bm25",
    }
    assert found["stages"][0]["steps"] > 0
    assert any("active terms per document" in note for note in found["notes"])
