"""A whole tuning run of a sparse model: negatives, merge, guard, verdict and report, as of a dense
one.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import Result

from nearfield.data.collection import Collection
from nearfield.encoders.load import load
from nearfield.errors import InputError
from nearfield.models.model import TextModel
from nearfield.models.surgery.new_head import new_head
from nearfield.report.facts import read_run
from nearfield.report.page import write_report
from nearfield.report.reproduce import command
from nearfield.train.engine.schedule import sparsity_at
from nearfield.train.engine.trainer import Trainer
from nearfield.train.recipe import Recipe, default_recipe
from nearfield.train.runs.tune import tune
from nearfield.train.wrappers.flops import flops
from nearfield.types.verdict import BETTER, NO_DIFFERENCE
from sparse_models import assert_same_as_sentence_transformers
from tiny import tiny_model
from tiny_data import tiny_collection
from training import data_of, training_step

pytestmark = pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")


def recipe_of(**sparsity: float) -> Recipe:
    facts: dict[str, Any] = {
        "pool": 60,
        "objective": {"temperature": 1.0},
        "sparsity": sparsity,
        "merge": {"ratios": [0.5, 1.0], "margin": 2.0},
    }
    facts["schedule"] = {
        "epochs": 2,
        "batch": 8,
        "rate": 1e-3,
        "evaluations": 2,
        "freeze_embeddings": False,
        "precision": "float32",
    }
    return Recipe.of(facts)


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    new_head(tiny_model(folder / "dense"), "splade", to=folder / "sparse")
    return folder / "sparse"


@pytest.fixture(scope="module")
def collection() -> Collection:
    return tiny_collection(queries=80)


def guard_file(folder: Path) -> str:
    rows = [
        {
            "sentence1": f"cat dog {at}",
            "sentence2": f"cat {'dog' if at % 2 else 'tax law'} {at}",
            "score": at % 2,
        }
        for at in range(20)
    ]
    (folder / "guard.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder / "guard.jsonl")


def test_a_sparse_model_is_tuned_like_any_other(
    tmp_path: Path, sparse: Path, collection: Collection
) -> None:
    verdict = tune(
        str(sparse),
        collection,
        to=tmp_path / "run",
        recipe=recipe_of(document=0.01),
        guards=[guard_file(tmp_path)],
    )
    assert verdict.outcome in (BETTER, NO_DIFFERENCE)
    assert verdict.forgotten
    facts = read_run(tmp_path / "run")
    assert {row.storage for row in facts.storage.rows} == {"float32", "float16"}
    assert any("active terms per document" in note for note in facts.comparison.notes)
    assert "whole" in write_report(tmp_path / "run").read_text()
    assert load(tmp_path / "run" / "model").contract.kind == "sparse"
    assert_same_as_sentence_transformers(
        tmp_path / "run" / "model", ["cat dog", "law court music"], within=1e-3
    )


def test_terms_that_cost_something_get_fewer(sparse: Path) -> None:
    active = []
    for cost in (0.0, 1.0):
        model = TextModel.open(sparse)
        data, recipe = data_of(model, 12), recipe_of(query=cost, document=cost, warmup=0.0)
        trainer = Trainer(model, recipe, 15)
        step = data.prepare(np.arange(12), model)
        losses = [trainer.step(number, step) for number in range(1, 16)]
        assert losses[-1] < losses[0]
        active.append(np.mean([model.represent(part).active.mean() for part in step.parts]))
    assert active[1] < active[0]


def test_what_terms_cost_rises_with_the_square_of_the_step() -> None:
    recipe = recipe_of(document=1.0, warmup=0.5)
    assert [sparsity_at(step, 8, recipe) for step in (1, 2, 4, 8)] == [1 / 16, 1 / 4, 1.0, 1.0]
    assert sparsity_at(1, 8, recipe_of(warmup=0.0)) == 1.0


def test_the_step_adds_what_its_terms_cost(sparse: Path) -> None:
    model = TextModel.open(sparse)
    data = data_of(model, 6)
    step = data.prepare(np.arange(6), model)
    rows = torch.cat([model.embed(part) for part in step.parts]).detach()[step.place]
    queries = int(step.query.max()) + 1
    plain, costly = (
        training_step(
            model, step, recipe_of(**weights), list(model.parameters().values()), sparsity=0.5
        )
        for weights in ({}, {"query": 2.0, "document": 3.0})
    )
    expected = 0.5 * (2 * flops(rows[:queries]) + 3 * flops(rows[queries:]))
    assert costly - plain == pytest.approx(float(expected), rel=1e-4)


def test_a_recipe_for_another_kind_is_refused(
    tmp_path: Path, sparse: Path, collection: Collection
) -> None:
    with pytest.raises(InputError, match="sparsity is for sparse vectors"):
        tune(
            str(sparse.parent / "dense"),
            collection,
            to=tmp_path / "dense",
            recipe=recipe_of(document=0.01),
            guards=(),
        )
    with pytest.raises(InputError, match=r"objective\.dims is for dense vectors"):
        tune(
            str(sparse),
            collection,
            to=tmp_path / "sparse",
            recipe=Recipe.of({"objective": {"dims": [8]}}),
            guards=(),
        )


def test_the_default_recipe_is_that_of_the_kind() -> None:
    assert default_recipe("dense") == Recipe()
    of_sparse = default_recipe("sparse")
    assert of_sparse.objective.temperature == 1.0
    assert of_sparse.sparsity.query > of_sparse.sparsity.document > 0


@pytest.mark.parametrize("kind", ["dense", "multi-vector", "sparse"])
def test_a_file_says_what_differs_from_the_default_recipe_of_the_kind(
    kind: str, tmp_path: Path
) -> None:
    (tmp_path / "recipe.toml").write_text(
        "seed = 3\n[schedule]\nbatch = 8\n[sparsity]\nwarmup = 0.5\n"
    )
    default = default_recipe(kind)
    schedule, sparsity = replace(default.schedule, batch=8), replace(default.sparsity, warmup=0.5)
    assert Recipe.open(tmp_path / "recipe.toml", kind=kind) == replace(
        default, seed=3, schedule=schedule, sparsity=sparsity
    )


def test_the_command_reads_its_recipe_for_the_kind_of_the_model(
    tmp_path: Path, sparse: Path, collection: Collection, cli: Callable[..., Result]
) -> None:
    collection.save(tmp_path / "data")
    (tmp_path / "recipe.toml").write_text(
        '[schedule]\nepochs = 0.01\nevaluations = 1\nprecision = "float32"\n'
    )
    told = cli(
        "tune",
        sparse,
        "--on",
        tmp_path / "data",
        "--guard",
        "none",
        "--recipe",
        tmp_path / "recipe.toml",
        "--to",
        tmp_path / "run",
    )
    assert told.exit_code == 0, told.output
    held = read_run(tmp_path / "run")
    assert held.origin.recipe["objective"]["temperature"] == 1.0
    assert held.origin.recipe["sparsity"]["document"] == default_recipe("sparse").sparsity.document
    assert "--recipe recipe.toml" in command(held)
    assert held.about.kind == "sparse"
    for recipe, stated in ((default_recipe("sparse"), False), (Recipe(), True)):
        written = json.loads(json.dumps(dataclasses.asdict(recipe)))
        told_again = command(replace(held, origin=replace(held.origin, recipe=written)))
        assert ("--recipe" in told_again) is stated


def test_the_recipe_beside_the_package_is_the_default_one(repository: Path) -> None:
    assert Recipe.open(repository / "recipes" / "splade.toml") == default_recipe("sparse")
