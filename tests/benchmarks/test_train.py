"""The training benchmarks at a tiny size, so that they go on running."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tiny import tiny_model
from tiny_data import tiny_collection

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


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
        "--json",
    ]
    words += [str(model), str(tmp_path / "missing"), "--sides", "nearfield float32"]
    ran = subprocess.run(
        [sys.executable, str(BENCHMARKS / "gpu_train.py"), "--cpu", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
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
        "--json",
    ]
    ran = subprocess.run(
        [sys.executable, str(BENCHMARKS / "train_memory.py"), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["pairs"] == 24
    assert 0 < found["before_gib"] <= found["peak_gib"]
