"""Multi-vector models train by the same step as any other."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from late_models import assert_same_as_peer, tiny_late
from nearfield.encoders.load import load
from nearfield.encoders.text import TextEncoder
from nearfield.report.facts import read_run
from nearfield.report.page import write_report
from nearfield.similarity.multi_vector import MultiVector
from nearfield.train.data.training_data import TokenSource, TrainingData, possibly_relevant
from nearfield.train.engine.trainer import Trainer
from nearfield.train.objectives.infonce import infonce_of_scores
from nearfield.train.recipe import Recipe
from nearfield.train.runs.tune import tune
from nearfield.types.verdict import BETTER, NO_DIFFERENCE
from tiny_data import tiny_collection
from training import data_of

pytestmark = pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
PAIRS = 40


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder[MultiVector]:
    expansion = {"strategy": "fixed", "length": 16}
    return load(
        tiny_late(
            tmp_path_factory.mktemp("late") / "m", query_expansion=expansion, document_length=60
        )
    )


def marked(encoder: TextEncoder[MultiVector]) -> TrainingData:
    data = data_of(encoder.runtime.model, PAIRS, negatives=1)
    queries = TokenSource(data.queries.texts, lambda chosen: encoder.tokenise(chosen, "query"))
    documents = TokenSource(
        data.documents.texts, lambda chosen: encoder.tokenise(chosen, "document")
    )
    return replace(data, queries=queries, documents=documents)


def test_the_loss_is_that_of_the_embeddings_scores(encoder: TextEncoder[MultiVector]) -> None:
    """Queries filled up and documents without punctuation as they are embedded, whatever the
    mini-batches.
    """
    data, recipe = (
        marked(encoder),
        Recipe.of({"objective": {"temperature": 1.0}, "schedule": {"clip": 1e9}}),
    )
    found = []
    for graph_tokens in (1 << 20, 1):
        trainer = Trainer(
            encoder.runtime.model,
            replace(recipe, schedule=replace(recipe.schedule, graph_tokens=graph_tokens)),
            1,
        )
        # the weights stay, and their gradients are looked at
        trainer.optimiser.step = lambda *_: None
        trainer.optimiser.zero_grad = lambda **_: None
        loss = trainer.step(1, data.prepare(np.arange(PAIRS), encoder))
        found.append(
            (
                loss,
                [
                    weight.grad.clone()
                    for weight in trainer.trained.values()
                    if weight.grad is not None
                ],
            )
        )
        for weight in trainer.trained.values():
            weight.grad = None
    documents = np.unique(np.concatenate([data.pairs.positive, data.pairs.negatives.ravel()]))
    ignore = torch.from_numpy(
        possibly_relevant(data, data.pairs.query, data.pairs.positive, documents)
    )
    scores = encoder.encode([data.queries.texts[at] for at in data.pairs.query], "query").scores(
        encoder.encode([data.documents.texts[at] for at in documents], "document")
    )
    positive = torch.from_numpy(np.searchsorted(documents, data.pairs.positive))
    expected = float(
        infonce_of_scores(torch.from_numpy(scores), positive, temperature=1.0, ignore=ignore)
    )
    for loss, _ in found:
        assert loss == pytest.approx(expected, rel=1e-5)
    assert len(found[0][1]) == len(found[1][1]) > 20
    for whole, cached in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(whole, cached, rtol=1e-4, atol=1e-6)


def test_a_model_is_tuned_like_any_other(tmp_path: Path) -> None:
    facts = {
        "pool": 60,
        "objective": {"temperature": 1.0},
        "merge": {"ratios": [0.5, 1.0], "margin": 2.0},
    }
    recipe = Recipe.of(
        facts
        | {
            "schedule": {
                "epochs": 2,
                "batch": 8,
                "rate": 1e-3,
                "evaluations": 2,
                "freeze_embeddings": False,
            }
        }
    )
    model = tiny_late(
        tmp_path / "m", query_expansion={"strategy": "fixed", "length": 16}, document_length=60
    )
    verdict = tune(
        str(model), tiny_collection(queries=60), to=tmp_path / "run", recipe=recipe, guards=()
    )
    assert verdict.outcome in (BETTER, NO_DIFFERENCE)
    assert {row.storage for row in read_run(tmp_path / "run").storage.rows} == {
        "float32",
        "int8",
        "binary",
    }
    assert "whole" in write_report(tmp_path / "run").read_text()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same_as_peer(
            tmp_path / "run" / "model",
            load(tmp_path / "run" / "model"),
            ["cat dog", "law , court music"],
        )


def test_the_loss_falls(tmp_path: Path) -> None:
    opened = load(tiny_late(tmp_path / "m", query_length=20), runtime="torch")
    recipe = Recipe.of(
        {"objective": {"temperature": 1.0}, "schedule": {"rate": 3e-3, "warmup": 0.0}}
    )
    trainer, step = (
        Trainer(opened.runtime.model, recipe, 40),
        marked(opened).prepare(np.arange(PAIRS), opened),
    )
    losses = [trainer.step(number, step) for number in range(1, 21)]
    assert losses[-1] < 0.5 * losses[0]
    assert any(name.startswith("projections.") for name in trainer.trained)
