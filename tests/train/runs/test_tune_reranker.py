"""A cross-encoder trained on a tiny collection: its loss, its run, and what it learnt."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import Result

from nearfield.data.collection import Collection
from nearfield.encoders.reranker import Reranker
from nearfield.errors import InputError, RecipeError
from nearfield.formats.reranker_folder import read_reranker_folder
from nearfield.kernels.library import runnable
from nearfield.models.backbones.native_layers import NativeLayers
from nearfield.models.pair_model import PairModel
from nearfield.models.saving.save_reranker import new_reranker
from nearfield.runtimes.torch_runtime import TorchRuntime
from nearfield.train.data.batch import Asked
from nearfield.train.data.pair_data import PairData
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.engine import schedule
from nearfield.train.engine.group import ALONE
from nearfield.train.engine.trainer import Trainer, trainable
from nearfield.train.recipe import Recipe
from nearfield.train.runs.reranker import tune_reranker
from nearfield.train.setting import Setting
from tiny import WORDS, tiny_model
from tiny_cross import pair_tokenizer, tiny_cross, tiny_decoder
from tokens import packed
from training import training_step

FAST = {"epochs": 1, "batch": 16, "evaluations": 2, "precision": "float32", "max_tokens": 64}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_model(tmp_path_factory.mktemp("models") / "tiny")
    pair_tokenizer().save(str(folder / "tokenizer.json"))
    return folder


class Pair(type(ALONE)):
    """One of two processes."""

    size = 2


def judge_of(folder: Path) -> Reranker:
    facts = read_reranker_folder(folder)
    return Reranker(facts, TorchRuntime(PairModel(facts)))


def test_the_loss_is_that_of_the_pairs_one_by_one_and_its_gradient_that_of_the_whole(
    tmp_path: Path,
) -> None:
    judge = judge_of(tiny_cross(tmp_path / "model"))
    queries, documents = (
        [f"what {word}" for word in WORDS[:6]],
        [f"{word} is not {word}" for word in WORDS[10:22]],
    )
    negatives = np.array([[1, 2], [3, -1], [-1, -1], [5, 6], [7, 0], [1, 4]])
    pairs = TrainingPairs(np.array([0, 1, 2, 3, 4, 0]), np.array([0, 2, 4, 7, 9, 11]), negatives)
    data = PairData(pairs, lambda at: judge.tokenise(queries, documents, at))
    batch = np.array([5, 0, 1, 2, 3])
    expected = 0.0
    for row in batch.tolist():
        own = [pairs.positive[row], *(at for at in negatives[row] if at >= 0)]
        logits = np.array(
            [
                judge.score_at(queries, documents, (pairs.query[row : row + 1], np.array([at])))[0]
                for at in own
            ],
            float,
        )
        expected -= logits[0] - np.log(np.exp(logits).sum())
    weights = list(trainable(judge.runtime.model, Recipe()).values())
    gradients = []
    for graph_tokens in (1, 10**6):
        recipe = Recipe.of({"schedule": {"graph_tokens": graph_tokens, "clip": 1e9}})
        step = data.prepare(batch, judge.runtime.model, Asked(processes=4))
        assert (len(step), len(step.parts) > 3) == (5, True)
        assert training_step(judge.runtime.model, step, recipe, weights) == pytest.approx(
            expected / 5, rel=1e-5
        )
        gradients.append([weight.grad.clone() for weight in weights if weight.grad is not None])
        for weight in weights:
            weight.grad = None
    assert len(gradients[0]) == len(gradients[1])
    for part, whole in zip(*gradients, strict=True):
        torch.testing.assert_close(part, whole, atol=1e-6, rtol=1e-4)


@pytest.mark.skipif(not runnable(), reason="the kernels are not compiled here")
@pytest.mark.parametrize("make", [tiny_cross, tiny_decoder])
def test_the_kernels_finish_the_token_that_the_logits_are_made_of(
    make: Callable[..., Path], tmp_path: Path
) -> None:
    """Of one that ranks by its vocabulary's logits the last, whatever its architecture."""
    model = PairModel(read_reranker_folder(make(tmp_path / "model", "roberta")))
    batch, found = packed([9, 7, 5, 1]), []
    weight = model.parameters()["roberta.encoder.layer.0.output.dense.weight"]
    for layers in (None, NativeLayers(model.backbone)):
        model.layers = layers
        logits = model.embed(batch)
        found.append((logits.detach(), *torch.autograd.grad(logits.sum(), [weight])))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_a_new_cross_encoder_learns_to_tell_a_positive_from_a_negative(
    encoder: Path, tmp_path: Path
) -> None:
    new_reranker(encoder, tmp_path / "new", name="new")
    judge = judge_of(tmp_path / "new")
    generator = np.random.default_rng(0)
    queries = [f"find {word}" for word in WORDS[:20]]
    documents = [f"{word} game" for word in WORDS[20:40]] + [f"{word} law" for word in WORDS[40:60]]
    # what ends in `game` is relevant
    positive, negative = generator.permutation(20), 20 + generator.permutation(20)
    data = PairData(
        TrainingPairs(np.arange(20), positive, negative[:, None]),
        lambda at: judge.tokenise(queries, documents, at),
    )

    def right() -> float:
        scores = [
            judge.score_at(queries, documents, (np.arange(20), at)) for at in (positive, negative)
        ]
        return float((scores[0] > scores[1]).mean())

    before = right()
    recipe = Recipe.of({"schedule": {"rate": 1e-2, "warmup": 0.0}})
    trainer = Trainer(judge.runtime.model, recipe, 15)
    losses = [
        trainer.step(number, data.prepare(np.arange(20), judge.runtime.model))
        for number in range(1, 16)
    ]
    assert before < 0.9
    assert right() == 1.0
    assert losses[-1] < losses[0] / 3


def test_a_run_from_an_encoder_to_a_verdict(
    encoder: Path, collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "APART", 1)  # so that dev is measured on the way, too
    recipe = Recipe.of({"schedule": FAST})
    whole = tune_reranker(str(encoder), collection, to=tmp_path / "whole", recipe=recipe, guards=())
    comparison = json.loads((tmp_path / "whole" / "comparison.json").read_text())
    assert {row["name"] for row in comparison["rows"]} == {
        "tiny",
        "tiny reranked by tiny-reranker-tiny",
    }
    assert whole.queries == len(collection.split("test").query_ids)
    steps = [
        json.loads(line)
        for line in (tmp_path / "whole" / "training.jsonl").read_text().splitlines()
    ]
    assert sum("loss" in row for row in steps) == 4
    assert sum("dev" in row for row in steps) == 3


def test_a_cross_encoder_is_tuned_on_from_where_it_was(
    encoder: Path, collection: Collection, tmp_path: Path, cli: Callable[..., Result]
) -> None:
    cross = tiny_cross(tmp_path / "cross", max_tokens=96)
    collection.save(tmp_path / "data")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        '[schedule]\nepochs = 1\nbatch = 16\nevaluations = 1\nprecision = "float32"\n'
    )
    result = cli(
        "reranker",
        cross,
        "--on",
        tmp_path / "data",
        "--first",
        encoder,
        "--recipe",
        recipe,
        "--to",
        tmp_path / "run",
        "--json",
    )
    assert result.exit_code == 0, result.output
    names = {row["name"] for row in json.loads(result.stdout)["comparison"]["rows"]}
    assert names == {"tiny", "tiny reranked by cross", "tiny reranked by cross-tiny"}
    shown = cli(
        "reranker",
        cross,
        "--on",
        tmp_path / "data",
        "--first",
        encoder,
        "--recipe",
        recipe,
        "--to",
        tmp_path / "run",
    )
    assert "reranked by cross-tiny" in shown.stdout
    alone = cli("reranker", cross, "--on", tmp_path / "data")
    assert alone.exit_code == 2
    assert "finds nothing by itself" in alone.stderr


def test_what_a_cross_encoder_has_not_is_refused(
    encoder: Path, collection: Collection, tmp_path: Path
) -> None:
    for facts, key in (
        ({"distil": {"teacher": "minilm"}}, "distil.teacher"),
        ({"lora": {"rank": 4}}, "lora.rank"),
        ({"objective": {"dims": [8]}}, "objective.dims"),
        ({"objective": {"temperature": 0.1}}, "objective.temperature"),
        ({"merge": {"ratios": [0.5]}}, "merge.ratios"),
        ({"negatives": {"per_query": 0}}, "negatives.per_query is 0; wanted at least 1"),
    ):
        with pytest.raises(RecipeError, match=key):
            tune_reranker(
                str(encoder), collection, to=tmp_path / "run", recipe=Recipe.of(facts), guards=()
            )
    with pytest.raises(InputError, match="the device 'gpu' cannot be used"):
        tune_reranker(
            str(encoder), collection, to=tmp_path / "run", setting=Setting(device="gpu"), guards=()
        )
    with pytest.raises(InputError, match="one process; the setting has a group of 2"):
        tune_reranker(
            str(encoder), collection, to=tmp_path / "run", setting=Setting(group=Pair()), guards=()
        )
    with pytest.raises(InputError, match="finds nothing by itself"):
        tune_reranker(
            str(tiny_cross(tmp_path / "cross")), collection, to=tmp_path / "run", guards=()
        )
