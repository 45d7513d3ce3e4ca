"""The training benchmarks at a tiny size, so that they go on running."""

from __future__ import annotations

from pathlib import Path

from scripts import benched
from tiny import tiny_model
from tiny_data import tiny_collection


def test_both_sides_see_the_same_losses_on_the_gpus_script_too(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "model")
    tiny_collection().save(tmp_path / "tiny")
    words = [
        "--on",
        str(tmp_path / "tiny"),
        "--batch",
        "8",
        "--max-tokens",
        "32",
        "--rounds",
        "2",
        "--rate",
        "1e-3",
    ]
    words += [str(model), str(tmp_path / "missing"), "--sides", "nearfield float32"]
    told = benched("gpu_train.py", "--cpu", *words)
    assert list(told["not_run"]) == ["missing"], "what cannot run costs the others nothing"
    assert list(told["models"]) == ["model"]
    sides = told["models"]["model"]
    assert {
        "sentence-transformers float32",
        "nearfield float32",
        "nearfield float32, embeddings kept",
    } <= set(sides)
    assert not any("bfloat16" in side for side in sides)
    assert len(sides["nearfield float32"]["losses"]) == 3
    assert sides["nearfield float32"]["loss_off"] < 0.001


def test_the_memory_of_a_step_is_measured(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "model")
    tiny_collection().save(tmp_path / "tiny")
    words = [
        str(model),
        "--on",
        str(tmp_path / "tiny"),
        "--batch",
        "24",
        "--graph-tokens",
        "1",
    ]
    found = benched("train_memory.py", *words)
    assert found["pairs"] == 24
    assert 0 < found["before_gib"] <= found["peak_gib"]
