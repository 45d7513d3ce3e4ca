"""The benchmark of three heads at a tiny size, so that it goes on running."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.kernels.library import runnable
from scripts import benched
from tiny import tiny_model
from tiny_data import tiny_collection


def test_both_parts_give_their_figures(tmp_path: Path) -> None:
    if not runnable():
        pytest.skip("the kernels are not compiled here")
    tiny_collection().save(tmp_path / "data")
    words = [
        str(tiny_model(tmp_path / "model")),
        "--on",
        str(tmp_path / "data"),
        "--pairs",
        "6",
        "--epochs",
        "1",
        "--batch",
        "8",
        "--rounds",
        "1",
    ]
    found = benched("three_heads.py", *words, "--texts", "4", "--dim", "8")
    assert all(
        found["speed"][runtime]["times_as_fast_as_dense"]["ratio"] > 0
        for runtime in ("native", "torch")
    )
    names = {row["system"] for row in found["quality"]["rows"]}
    assert {
        "bm25",
        "model before",
        "three heads",
        "three heads dense",
        "three heads sparse",
        "three heads multi-vector",
    } == names
    assert found["quality"]["fusion"]["dev"] >= found["quality"]["fusion"]["before"]
    assert found["quality"]["fused_minus_best_head"]["best"] in names
    assert found["quality"]["stages"][-1]["steps"] >= 1
