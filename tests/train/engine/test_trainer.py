"""What a trainer trains with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nearfield.kernels.library import runnable
from nearfield.models.model import TextModel
from nearfield.train.data.batch import Asked
from nearfield.train.data.mini_batches import MINI_TOKENS
from nearfield.train.engine import trainer
from nearfield.train.engine.lora import add_lora
from nearfield.train.engine.step import held_parts
from nearfield.train.engine.trainer import Trainer, mini_tokens
from nearfield.train.recipe import Recipe
from static_models import model2vec_folder
from tiny import tiny_model
from training import data_of

compiled = pytest.mark.skipif(
    runnable()[:1] in ((), ("plain",)), reason="no kernels of this processor are compiled here"
)


def trained(folder: Path, steps: int, **schedule: Any) -> tuple[TextModel, list[float]]:
    recipe = Recipe.of({"schedule": {"rate": 1e-3, **schedule}})
    model = TextModel.open(folder)
    data, own = data_of(model, 24 * steps, negatives=1), Trainer(model, recipe, steps)
    return model, [
        own.step(at + 1, data.prepare(np.arange(24 * at, 24 * at + 24), model))
        for at in range(steps)
    ]


@compiled
@pytest.mark.parametrize("kind", ["bert", "mpnet"])
@pytest.mark.parametrize("freeze", [False, True])
def test_the_kernels_train_as_torch_does(tmp_path: Path, kind: str, freeze: bool) -> None:
    folder = tiny_model(tmp_path / kind, kind=kind)
    own, losses = trained(folder, 12, freeze_embeddings=freeze)
    other, expected = trained(folder, 12, freeze_embeddings=freeze, engine="torch")
    assert own.layers is not None
    assert other.layers is None
    np.testing.assert_allclose(losses, expected, rtol=1e-3)
    for name, weight in own.parameters().items():
        torch.testing.assert_close(weight, other.parameters()[name], atol=2e-3, rtol=0)


@compiled
def test_the_kernels_train_what_they_can_and_torch_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny, auto = tiny_model(tmp_path / "bert"), Recipe()
    model = TextModel.open(tiny)
    assert mini_tokens(model, auto) == MINI_TOKENS
    Trainer(model, auto, 1)
    assert model.layers is not None
    assert mini_tokens(model, auto) == 6144, "the graphs that may be held are two of them"
    data, tight = data_of(model, 500, negatives=1), Recipe.of({"schedule": {"graph_tokens": 900}})
    Trainer(model, tight, 1)
    step = data.prepare(np.arange(500), model, Asked(budget=mini_tokens(model, tight)))
    sizes = [len(part.ids) for part in step.parts]
    assert held_parts(step, tight.schedule.graph_tokens) == 1
    assert max(sizes) <= 900 < sum(sizes)
    assert min(sizes) > 0.5 * max(sizes), "of about the same size"
    lora, half = TextModel.open(tiny), TextModel.open(tiny, precision="bfloat16")
    add_lora(lora, Recipe.of({"lora": {"rank": 2}}))
    others = [
        lora,
        TextModel.open(tiny_model(tmp_path / "modern", kind="modernbert")),
        TextModel.open(model2vec_folder(tmp_path / "static")),
    ]
    for other in others:
        Trainer(other, Recipe.of({"lora": {"rank": 2}}) if other is lora else auto, 1)
        assert other.layers is None
    monkeypatch.setattr(trainer, "runnable", lambda: ("plain",))
    Trainer(model, auto, 1)
    assert model.layers is None
    monkeypatch.undo()
    cases = [
        ("avx512_bf16", "bf16", True),
        ("amx_bf16", "amx", True),
        ("amx_bf16", "bf16", False),
        ("", "avx2", False),
    ]
    for feature, level, natively in cases:
        monkeypatch.setattr(trainer, "bfloat16_in_hardware", lambda feature=feature: feature)
        monkeypatch.setattr(trainer, "runnable", lambda level=level: (level, "plain"))
        Trainer(half, auto, 1)
        assert (half.layers is not None) == natively
