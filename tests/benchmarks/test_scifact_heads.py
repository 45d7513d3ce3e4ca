"""The benchmark of new heads, at a size that says nothing of them but that it runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tiny import tiny_model
from tiny_data import tiny_collection


def test_a_head_is_made_trained_and_measured(tmp_path: Path, repository: Path) -> None:
    tiny_model(tmp_path / "tiny")
    tiny_collection(queries=80).save(tmp_path / "data")
    words = [
        sys.executable,
        repository / "benchmarks" / "scifact_heads.py",
        tmp_path / "tiny",
        "--on",
        tmp_path / "data",
    ]
    done = subprocess.run(
        [*words, "--pairs", "0", "--epochs", "1", "--before", "--inference-free", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {row["system"] for row in found["rows"]} == {
        "tiny splade",
        "tiny splade before",
        "tiny",
        "bm25",
    }
    assert found["stages"][0]["steps"] > 0
    assert any("active terms per document" in note for note in found["notes"])
