"""A whole tuning run of a model of three heads: all of them are trained, compared and saved as BGE-M3's are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nearfield.encoders.load import load_encoder
from nearfield.report.page import write_report
from nearfield.store.run import RunFolder
from nearfield.train.recipe import Recipe
from nearfield.train.tune import tune
from three_heads import tiny_three_heads
from tiny_data import tiny_collection


def test_all_heads_are_tuned_and_measured(tmp_path: Path) -> None:
    source = tiny_three_heads(tmp_path / "tiny-m3", dim=8)
    schedule = {"epochs": 2, "batch": 8, "rate": 1e-3, "evaluations": 1, "max_tokens": 32, "precision": "float32"}
    recipe = Recipe.of({"schedule": schedule, "merge": {"ratios": [1.0]}, "objective": {"dims": [32, 16]}})
    verdict = tune(str(source), tiny_collection(), to=tmp_path / "run", recipe=recipe)
    assert verdict.queries
    folder = RunFolder(tmp_path / "run")
    names = {row["name"] for row in folder.read("comparison.json")["rows"]}
    kinds = ("", " dense", " sparse", " multi-vector")
    assert names == {"bm25", "tiny-m3 + bm25 (fused)", *(f"tiny-m3{kind}" for kind in kinds), *(f"tiny-m3 tuned{kind}" for kind in kinds)}
    stored = {row["name"] for row in folder.read("storage.json")["rows"]}
    assert stored == {f"{model}{kind} {storage}" for model in ("base", "tuned") for kind in kinds for storage in ("float32", "float16")}
    assert "tiny-m3 tuned multi-vector" in write_report(tmp_path / "run").read_text()
    (merged,) = (row for row in folder.read("merge.json") if row["chosen"])
    assert load_encoder(tmp_path / "run" / "model").contract.kind == "several"
    for file in ("colbert_linear.pt", "sparse_linear.pt"):
        before, after = (torch.load(place / file, weights_only=True) for place in (source, tmp_path / "run" / "model"))
        assert torch.equal(before["weight"], after["weight"]) == (merged["ratio"] == 0)
        assert (tmp_path / "run" / "fusion.json").exists() == (merged["ratio"] > 0)


def test_dev_weighs_the_heads_of_tuned_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfield.train.tune.choose", lambda rows: rows[-1])  # the tuned weights, whatever dev likes
    monkeypatch.setattr("nearfield.train.fusion.LEAST", 1)
    schedule = {"epochs": 1, "batch": 8, "rate": 1e-3, "evaluations": 1, "max_tokens": 32, "precision": "float32"}
    recipe = Recipe.of({"schedule": schedule, "merge": {"ratios": [1.0]}})
    tune(str(tiny_three_heads(tmp_path / "tiny-m3", dim=8)), tiny_collection(), to=tmp_path / "run", recipe=recipe)
    fusion, opened = RunFolder(tmp_path / "run").read("fusion.json"), load_encoder(tmp_path / "run" / "model")
    assert opened.contract.fusion == opened.encode(["a cat"], "query").fusion == fusion["weights"]
    assert fusion["dev"] >= fusion["before"]
    assert "scores are fused as" in write_report(tmp_path / "run").read_text()
