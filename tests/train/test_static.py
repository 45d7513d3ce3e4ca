"""Static models through the same trainer as all others."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from model2vec import StaticModel

from nearfield.encoders.load import load
from nearfield.models.model import TextModel
from nearfield.store.run import RunFolder
from nearfield.train.engine.trainer import Trainer
from nearfield.train.recipe import Recipe, Schedule
from nearfield.train.runs.tune import tune
from peer import assert_same_as_sentence_transformers
from static_models import model2vec_folder
from tiny_data import tiny_collection
from training import data_of


def trained(folder: Path, factor: float) -> torch.Tensor:
    """The table after three steps that began at `factor` times the folder's."""
    model = TextModel.open(folder)
    with torch.no_grad():
        model.backbone.embeddings.mul_(factor)
    recipe = Recipe(schedule=Schedule(clip=1e9, weight_decay=0.1, precision="float32"))
    trainer, data = Trainer(model, recipe, 3), data_of(model, 12)
    for number in range(1, 4):
        trainer.step(number, data.prepare(np.arange(12), model))
    table: torch.Tensor = model.backbone.embeddings.detach()
    return table


def test_what_training_does_to_a_table_does_not_depend_on_its_size(tmp_path: Path) -> None:
    folder = model2vec_folder(tmp_path / "static")
    before = TextModel.open(folder).backbone.embeddings.detach()
    plain, large = trained(folder, 1.0), trained(folder, 8.0)
    torch.testing.assert_close(large / 8, plain, atol=1e-4, rtol=1e-4)
    moved = (plain - before).abs().max() / before.square().mean().sqrt()
    assert 0.005 < float(moved) < 0.03  # three steps of at most a hundredth


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_a_run_tunes_a_static_model_and_writes_one(tmp_path: Path) -> None:
    folder = model2vec_folder(tmp_path / "static")
    recipe = Recipe(
        pool=60,
        schedule=dataclasses.replace(
            Schedule(), epochs=4, batch=8, table_rate=0.05, precision="float32"
        ),
    )
    tune(str(folder), tiny_collection(), to=tmp_path / "run", recipe=recipe, guards=())
    rows = RunFolder(tmp_path / "run").read("merge.json")
    assert max(row["dev"] for row in rows) > rows[0]["dev"]
    made = load(tmp_path / "run" / "model")
    assert made.runtime.name == "static"
    texts = ["the cat and the dog", "", "parse json"]
    assert_same_as_sentence_transformers(tmp_path / "run" / "model", texts)
    ours = made.encode(texts, "document").vectors
    np.testing.assert_allclose(
        ours, StaticModel.from_pretrained(tmp_path / "run" / "model").encode(texts), atol=1e-5
    )
