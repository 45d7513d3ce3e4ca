"""Training adapters: only they change, each by its role, and the run ends in folders that other
tools read.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from nearfield.data.collection import Collection
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ModelError, RecipeError
from nearfield.models.model import TextModel
from nearfield.runtimes.torch_runtime import TorchRuntime
from nearfield.store.fields import read_json
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.training_data import TokenSource, TrainingData
from nearfield.train.engine.lora import add_lora, scaled_base
from nearfield.train.engine.trainer import Trainer, trainable
from nearfield.train.fits.blend import put_weights
from nearfield.train.recipe import Recipe
from nearfield.train.runs.tune import tune
from nearfield.types.role import DOCUMENT, QUERY
from peer import assert_same_as_sentence_transformers
from training import training_step

TEXTS = ["the cat", "a dog and the sun", "tax law court", "how to sort a list in a queue"]


def recipe_of(**lora: Any) -> Recipe:
    schedule = {"epochs": 1, "batch": 8, "rate": 3e-3, "evaluations": 1, "precision": "float32"}
    return Recipe.of(
        {
            "pool": 60,
            "schedule": schedule,
            "merge": {"ratios": [0.5, 1.0]},
            "lora": {"rank": 4, **lora},
        }
    )


def data_of(encoder: TextEncoder) -> TrainingData:
    texts = (TEXTS, [f"{text} rain" for text in TEXTS])
    sources = (
        TokenSource(part, lambda chosen, role=role: encoder.tokenise(chosen, role))
        for part, role in zip(texts, (QUERY, DOCUMENT), strict=True)
    )
    pairs = TrainingPairs(np.arange(4), np.arange(4), np.empty((4, 0), np.int64))
    return TrainingData(*sources, pairs, np.arange(4), [{at} for at in range(4)])


@pytest.mark.parametrize("per_role", [False, True])
def test_only_the_adapters_are_trained(per_role: bool, tiny: Path) -> None:
    model, recipe = TextModel.open(tiny), recipe_of(per_role=per_role)
    before = {name: weight.detach().clone() for name, weight in model.parameters().items()}
    add_lora(model, recipe)
    trainer = Trainer(model, recipe, 4)
    # matrices of the six linear layers of two
    assert len(trainer.trained) == (1 + per_role) * 2 * 12
    data = data_of(TextEncoder(model.folder, TorchRuntime(model)))
    step = data.prepare(np.arange(4), model)
    losses = [trainer.step(number, step) for number in range(1, 5)]
    assert losses[-1] < losses[0]
    after = model.parameters()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    assert all(
        weight.abs().sum() > 0
        for name, weight in trainer.trained.items()
        if name.endswith("lora_B")
    )


def test_gradients_of_adapters_by_role_are_those_of_each_text_alone(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradients = []
    for budget in (2048, 1):  # all texts in one row; each in its own
        monkeypatch.setattr("nearfield.train.data.mini_batches.MINI_TOKENS", budget)
        model, recipe = TextModel.open(tiny), recipe_of(per_role=True)
        add_lora(model, recipe)
        data = data_of(TextEncoder(model.folder, TorchRuntime(model)))
        step = data.prepare(np.arange(4), model)
        assert len(step.parts) == (1 if budget > 1 else 8)
        weights = trainable(model, recipe)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for weight in weights.values():
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.2)
        training_step(model, step, recipe, list(weights.values()))
        gradients.append({name: weight.grad for name, weight in weights.items()})
    for name, together in gradients[0].items():
        torch.testing.assert_close(together, gradients[1][name], atol=1e-6, rtol=1e-4, msg=name)


def test_an_average_with_the_base_scales_what_the_adapter_adds() -> None:
    base = {"x.lora_A": torch.randn(2, 5), "x.lora_B": torch.zeros(3, 2)}
    tuned = {"x.lora_A": torch.randn(2, 5), "x.lora_B": torch.randn(3, 2)}
    into = {name: weight.clone() for name, weight in base.items()}
    put_weights(into, scaled_base(base, tuned), tuned, 0.25)
    torch.testing.assert_close(
        into["x.lora_B"] @ into["x.lora_A"], 0.25 * tuned["x.lora_B"] @ tuned["x.lora_A"]
    )


def test_of_adapters_that_the_base_brought_none_of_the_tuned_ones_is_left_in_the_base() -> None:
    base, tuned = (
        {f"x.lora_{half}": torch.randn(shape) for half, shape in (("A", (2, 5)), ("B", (3, 2)))}
        for _ in range(2)
    )
    into = {name: weight.clone() for name, weight in tuned.items()}
    for ratio, wanted in ((0.0, base), (1.0, tuned)):
        put_weights(into, scaled_base(base, tuned), tuned, ratio)
        assert all(torch.equal(into[name], weight) for name, weight in wanted.items())


def test_a_run_ends_in_a_merged_model_and_in_an_adapter(
    tiny: Path, collection: Collection, tmp_path: Path
) -> None:
    tune(str(tiny), collection, to=tmp_path / "run", recipe=recipe_of(), guards=())
    merged = TextEncoder.open(tmp_path / "run" / "model")
    assert_same_as_sentence_transformers(tmp_path / "run" / "model", TEXTS, encoder=merged)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = SentenceTransformer(str(tiny), device="cpu")
        peer.load_adapter(str(tmp_path / "run" / "adapter"))
        theirs = peer.encode_query(TEXTS)
    np.testing.assert_allclose(merged.encode(TEXTS, "query").vectors, theirs, atol=1e-5)
    assert read_json(tmp_path / "run" / "adapter" / "adapter_config.json")[
        "base_model_name_or_path"
    ] == str(tiny)


def test_a_run_with_an_adapter_a_role_ends_in_a_model_with_both(
    tiny: Path, collection: Collection, tmp_path: Path
) -> None:
    tune(str(tiny), collection, to=tmp_path / "run", recipe=recipe_of(per_role=True), guards=())
    encoder = TextEncoder.open(tmp_path / "run" / "model")
    chosen = [row for row in read_json(tmp_path / "run" / "merge.json") if row["chosen"]]
    assert set(encoder.folder.adapters) == {"query", "document"}
    same = np.allclose(
        encoder.encode(TEXTS, "query").vectors, encoder.encode(TEXTS, "document").vectors, atol=1e-6
    )
    assert same == (chosen[0]["ratio"] == 0)


def test_what_cannot_be_asked_for(tiny: Path) -> None:
    with pytest.raises(RecipeError, match=r"lora.rank is -1; wanted 0, for none, or more"):
        recipe_of(rank=-1)
    with pytest.raises(RecipeError, match=r"lora.alpha is 0"):
        recipe_of(alpha=0)
    model = TextModel.open(tiny)
    with pytest.raises(ModelError, match=r"no linear layer is called '\(unclosed'"):
        add_lora(model, recipe_of(rank=2, targets=["(unclosed"]))
    with pytest.raises(ModelError, match="no linear layer is called 'wq'"):
        add_lora(model, recipe_of(targets=["wq"]))
    add_lora(model, recipe_of())
    with pytest.raises(ModelError, match="has adapters already"):
        add_lora(model, recipe_of())
