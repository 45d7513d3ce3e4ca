"""Training on a GPU that is pretended: each step, and a whole run, is what it is on the
processor.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from decoders import decoder_model
from late_models import tiny_late
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError
from nearfield.models.model import TextModel
from nearfield.models.surgery.new_head import HeadOptions, new_head
from nearfield.runtimes import choose
from nearfield.runtimes.torch_runtime import TorchRuntime
from nearfield.train.data.batch import Asked
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.training_data import TokenSource, TrainingData
from nearfield.train.engine.lora import add_lora
from nearfield.train.engine.trainer import Trainer, mini_tokens
from nearfield.train.objectives.compose import objective_of
from nearfield.train.recipe import Recipe
from nearfield.train.runs.reranker import tune_reranker
from nearfield.train.runs.tune import tune
from nearfield.train.setting import Setting
from pretended_gpu import pretended_gpu
from sparse_models import tell_apart, tiny_splade
from static_models import model2vec_folder
from three_head_models import tiny_three_heads
from tiny import WORDS, tiny_model
from tiny_data import tiny_collection
from training import data_of

pytestmark = pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
QUERIES = [" ".join(WORDS[at : at + 2 + at % 3]) for at in range(24)]
DOCUMENTS = [" ".join(WORDS[(at * 3) % 40 : (at * 3) % 40 + 4 + at % 9]) for at in range(36)]


def stepped(
    folder: Path, device: str, facts: dict[str, Any], *, precision: str = "float32"
) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss of a step, two thirds of which are embedded twice, and the weights after it."""
    recipe = Recipe.of(
        {
            "schedule": {
                "rate": 1e-3,
                "graph_tokens": 1,
                "engine": "torch",
                "freeze_embeddings": False,
            }
        }
        | facts
    )
    model = TextModel.open(folder, device=device, precision=precision)
    add_lora(model, recipe)
    encoder = TextEncoder(model.folder, TorchRuntime(model))
    queries, documents = (
        TokenSource(texts, lambda chosen, role=role: encoder.tokenise(chosen, role))
        for texts, role in ((QUERIES, "query"), (DOCUMENTS, "document"))
    )
    at, negatives = (
        np.arange(24),
        np.stack([np.arange(24) + 12, np.where(np.arange(24) % 3, np.arange(24) + 1, -1)], 1),
    )
    teacher = (
        np.random.default_rng(0).standard_normal((24, 3)).astype(np.float32)
        if recipe.distil.teacher
        else None
    )
    data = TrainingData(
        queries,
        documents,
        TrainingPairs(at, at, negatives),
        np.arange(36),
        [{query, query + 5} for query in range(24)],
        teacher,
    )
    trainer, batch = Trainer(model, recipe, 2), np.arange(12)
    needs = objective_of(recipe, model.objective, model.contract).needs
    budget = data.prepare(batch, model).tokens // 3
    step = data.prepare(batch, model, Asked(needs, budget=budget))
    assert 0.5 * step.tokens < trainer.twice(step) < step.tokens
    loss = trainer.step(1, step)
    return loss, {name: weight.detach().cpu() for name, weight in model.parameters().items()}


MODELS: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "dense": (tiny_model, {"objective": {"dims": [8, 32]}, "distil": {"teacher": "one"}}),
    "max pooling": (lambda folder: tiny_model(folder, pooling="max"), {}),
    "mpnet": (lambda folder: tiny_model(folder, kind="mpnet"), {}),
    "modernbert": (lambda folder: tiny_model(folder, kind="modernbert"), {}),
    "decoder": (
        lambda folder: decoder_model(folder, "qwen3", max_tokens=12),
        {"lora": {"rank": 2}},
    ),
    "adapters by role": (tiny_model, {"lora": {"rank": 2, "per_role": True}}),
    "sparse": (tiny_splade, {"sparsity": {"query": 0.1, "document": 0.1}}),
    "summed": (lambda folder: tiny_splade(folder, pooling="sum"), {}),
    "late": (tiny_late, {}),
    "three heads": (tiny_three_heads, {"distil": {"teacher": "one", "loss": "margin-mse"}}),
    "static": (model2vec_folder, {}),
}


@pytest.mark.parametrize("kind", MODELS)
def test_steps_with_a_gradient_cache(tmp_path: Path, kind: str) -> None:
    make, facts = MODELS[kind]
    folder = make(tmp_path / "model")
    expected, weights = stepped(folder, "cpu", facts)
    with pretended_gpu():
        found, there = stepped(folder, "cuda:0", facts)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    for name, weight in weights.items():
        torch.testing.assert_close(there[name], weight, atol=2e-4, rtol=0)


@pytest.mark.parametrize("kind", ["dense", "decoder", "mpnet"])
def test_steps_in_half_precision(tmp_path: Path, kind: str) -> None:
    """Weights and their gradients stay float32, and flash attention is gone back through."""
    make, facts = MODELS[kind]
    folder = make(tmp_path / "model")
    expected, _ = stepped(folder, "cpu", facts)
    with pretended_gpu() as gpu:
        found, weights = stepped(folder, "cuda:0", facts, precision="bfloat16")
    np.testing.assert_allclose(found, expected, rtol=0.05)
    assert bool(gpu.attended) == (kind != "mpnet")
    assert {weight.dtype for weight in weights.values()} == {torch.float32}


def test_queries_that_are_looked_up(tmp_path: Path) -> None:
    new_head(
        tell_apart(tiny_model(tmp_path / "source")),
        "splade",
        to=tmp_path / "model",
        options=HeadOptions(inference_free=True),
    )
    facts = {"objective": {"temperature": 1.0}}
    expected, _ = stepped(tmp_path / "model", "cpu", facts)
    with pretended_gpu():
        found, _ = stepped(tmp_path / "model", "cuda:0", facts)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_a_gpu_gets_more_tokens_at_once_as_far_as_their_graph_may_be_held(tiny: Path) -> None:
    with pretended_gpu():
        model = TextModel.open(tiny, device="cuda:0")
        tokens = [
            mini_tokens(model, Recipe.of({"schedule": {"graph_tokens": most}}))
            for most in (1, 2000, 12288, 65536)
        ]
    assert tokens == [1, 2000, 6144, 8192]


def test_a_gpu_that_is_full_is_one_line(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(batch: object) -> None:
        raise torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB.\nAnd much more."
        )

    model = TextModel.open(tiny)
    monkeypatch.setattr(model, "embed", full)
    with pytest.raises(
        InputError,
        match=r"^the device's memory is full: CUDA out of memory. "
        r"Tried .* 2.00 GiB. End what .*batch_tokens",
    ):
        TextEncoder(model.folder, TorchRuntime(model)).encode(["cat"], "query")
    data, recipe = data_of(model, 8), Recipe()
    with pytest.raises(InputError, match=r"memory is full: .*Lower schedule.graph_tokens"):
        Trainer(model, recipe, 1).step(1, data.prepare(np.arange(8), model))


def test_a_whole_run_and_one_that_goes_on(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it on the device that was asked for, the teacher too."""
    monkeypatch.setattr(choose, "cuda", lambda: "another that is not asked for")
    collection = tiny_collection(queries=48)
    schedule = {
        "epochs": 1,
        "batch": 8,
        "evaluations": 2,
        "precision": "float32",
        "engine": "torch",
    }
    facts = {
        "pool": 60,
        "distil": {"teacher": str(tiny)},
        "merge": {"ratios": [0.5, 1.0], "margin": 2.0},
    }
    recipe, runs = Recipe.of(facts | {"schedule": schedule}), {}
    for device in ("cpu", "cuda:0"):
        runs[device] = tmp_path / device.partition(":")[0]
        with pretended_gpu():
            verdict = tune(
                str(tiny),
                collection,
                to=runs[device],
                recipe=recipe,
                setting=Setting(device=device),
                guards=(),
            )
        assert verdict.queries == 12
    merged = [json.loads((run / "merge.json").read_text()) for run in runs.values()]
    assert [[row["ratio"] for row in rows] for rows in merged] == [[0.0, 0.5, 1.0]] * 2
    np.testing.assert_allclose(*([row["dev"] for row in rows] for rows in merged), atol=1e-6)
    for part in ("model", "merge.json", "verdict.json"):
        place = runs["cuda:0"] / part
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    with pretended_gpu():
        tune(
            str(tiny),
            collection,
            to=runs["cuda:0"],
            recipe=recipe,
            setting=Setting(device="cuda:0"),
            guards=(),
        )
    assert json.loads((runs["cuda:0"] / "merge.json").read_text()) == merged[1]


def test_a_cross_encoder(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model whose results it orders is on the device that was asked for, too."""
    monkeypatch.setattr(choose, "cuda", lambda: "another that is not asked for")
    collection = tiny_collection(queries=48)
    recipe = Recipe.of(
        {
            "schedule": {
                "epochs": 1,
                "batch": 16,
                "evaluations": 1,
                "precision": "float32",
                "max_tokens": 64,
            },
            "pool": 60,
        }
    )
    with pretended_gpu() as gpu:
        tune_reranker(
            str(tiny),
            collection,
            to=tmp_path / "here",
            recipe=recipe,
            setting=Setting(device="cpu"),
            guards=(),
        )
        assert not gpu.waits
        verdict = tune_reranker(
            str(tiny),
            collection,
            to=tmp_path / "there",
            recipe=recipe,
            setting=Setting(device="cuda:0"),
            guards=(),
        )
    assert verdict.queries == 12
