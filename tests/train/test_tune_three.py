"""A whole tuning run of a model of three heads: all of them are trained, compared and saved as
BGE-M3's are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nearfield.encoders.load import load
from nearfield.encoders.text import TextEncoder
from nearfield.models.model import TextModel
from nearfield.report.page import write_report
from nearfield.runtimes.options import OpenOptions
from nearfield.store.run import RunFolder
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.training_data import TokenSource, TrainingData
from nearfield.train.engine.trainer import Trainer
from nearfield.train.recipe import Recipe
from nearfield.train.runs.merge import Merged
from nearfield.train.runs.tune import tune
from three_head_models import tiny_three_heads
from tiny_data import tiny_collection


def test_all_heads_are_tuned_and_measured(tmp_path: Path) -> None:
    source = tiny_three_heads(tmp_path / "tiny-m3", dim=8)
    schedule = {
        "epochs": 2,
        "batch": 8,
        "rate": 1e-3,
        "evaluations": 1,
        "max_tokens": 32,
        "precision": "float32",
    }
    recipe = Recipe.of(
        {"schedule": schedule, "merge": {"ratios": [1.0]}, "objective": {"dims": [32, 16]}}
    )
    verdict = tune(str(source), tiny_collection(), to=tmp_path / "run", recipe=recipe, guards=())
    assert verdict.queries
    folder = RunFolder(tmp_path / "run")
    names = {row["name"] for row in folder.read("comparison.json")["rows"]}
    kinds = ("", " dense", " sparse", " multi-vector")
    assert names == {
        "bm25",
        "tiny-m3 + bm25 (fused)",
        *(f"tiny-m3{kind}" for kind in kinds),
        *(f"tiny-m3 tuned{kind}" for kind in kinds),
    }
    stored = {row["name"] for row in folder.read("storage.json")["rows"]}
    assert stored == {
        f"{model}{kind} {storage}"
        for model in ("base", "tuned")
        for kind in kinds
        for storage in ("float32", "float16")
    }
    assert "tiny-m3 tuned multi-vector" in write_report(tmp_path / "run").read_text()
    (merged,) = (row for row in folder.read("merge.json") if row["chosen"])
    assert load(tmp_path / "run" / "model").contract.kind == "several"
    for file in ("colbert_linear.pt", "sparse_linear.pt"):
        before, after = (
            torch.load(place / file, weights_only=True)
            for place in (source, tmp_path / "run" / "model")
        )
        assert torch.equal(before["weight"], after["weight"]) == (merged["ratio"] == 0)
        assert (tmp_path / "run" / "fusion.json").exists() == (merged["ratio"] > 0)


@pytest.mark.parametrize("new", [True, False])
def test_a_new_sparse_layer_learns_faster_and_a_published_one_does_not(
    new: bool, tmp_path: Path
) -> None:
    place = tiny_three_heads(tmp_path / "tiny-m3", dim=8)
    weight, bias = torch.load(place / "sparse_linear.pt", weights_only=True).values()
    torch.save(
        {"weight": weight * (0.0 if new else 0.01), "bias": torch.full_like(bias, 0.3)},
        place / "sparse_linear.pt",
    )
    recipe = Recipe.of(
        {"schedule": {"rate": 1e-3, "warmup": 0.0, "precision": "float32", "weight_decay": 0.0}}
    )
    model, encoder = TextModel.open(place), TextEncoder.open(place, OpenOptions(runtime="torch"))
    sources = [
        TokenSource(["a cat", "the dog"], lambda chosen, role=role: encoder.tokenise(chosen, role))
        for role in ("query", "document")
    ]
    pairs = TrainingPairs(np.arange(2), np.arange(2), np.empty((2, 0), np.int64))
    data = TrainingData(sources[0], sources[1], pairs, np.arange(2), [{0}, {1}])
    step = data.prepare(np.arange(2), model)
    trainer, before = (
        Trainer(model, recipe, 4),
        {name: weight.detach().clone() for name, weight in model.parameters().items()},
    )
    trainer.step(1, step)
    moved = {
        name: float((weight.detach() - before[name]).abs().max())
        for name, weight in model.parameters().items()
    }
    # Adam's first step
    assert moved["multi_vector.linear.weight"] == pytest.approx(trainer.rate, rel=1e-3)
    assert moved["sparse.linear.weight"] == pytest.approx(
        (10 if new else 1) * trainer.rate, rel=1e-2
    )


def test_dev_weighs_the_heads_of_tuned_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = Merged(1.0, 1.0, {}, allowed=True, chosen=True)
    # whatever dev likes
    monkeypatch.setattr(
        "nearfield.train.runs.run.search", lambda base, ratios, **asked: [base, tuned]
    )
    monkeypatch.setattr("nearfield.train.runs.fusion.LEAST", 1)
    schedule = {
        "epochs": 1,
        "batch": 8,
        "rate": 1e-3,
        "evaluations": 1,
        "max_tokens": 32,
        "precision": "float32",
    }
    recipe = Recipe.of({"schedule": schedule, "merge": {"ratios": [1.0]}})
    tune(
        str(tiny_three_heads(tmp_path / "tiny-m3", dim=8)),
        tiny_collection(),
        to=tmp_path / "run",
        recipe=recipe,
        guards=(),
    )
    fusion, opened = (
        RunFolder(tmp_path / "run").read("fusion.json"),
        load(tmp_path / "run" / "model"),
    )
    assert opened.contract.fusion == opened.encode(["a cat"], "query").weights == fusion["weights"]
    assert fusion["dev"] >= fusion["before"]
    assert "scores are fused as" in write_report(tmp_path / "run").read_text()
