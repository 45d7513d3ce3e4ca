"""A loss at two depths, and one with remembered documents: loss and gradients beside those without
the wrapper.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nearfield.errors import InputError, RecipeError
from nearfield.models.heads.represented import Rows
from nearfield.models.model import TextModel
from nearfield.models.surgery.layers import drop_layers
from nearfield.train.engine.step import training_step
from nearfield.train.engine.trainer import Trainer
from nearfield.train.objectives.compose import objective_of
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.infonce import InfoNCE
from nearfield.train.recipe import Recipe
from nearfield.train.wrappers.memory import NAME, Memory
from tiny import tiny_model
from training import data_of


def gradients(model: TextModel, recipe: Recipe, depth: int = 0) -> tuple[float, dict[str, Tensor]]:
    batch = data_of(model, 24, negatives=1).prepare(np.arange(24), model)
    weights = model.parameters()
    for weight in weights.values():
        weight.requires_grad_()
        weight.grad = None
    schedule = replace(recipe.schedule, clip=1e9)
    loss = training_step(
        model,
        batch,
        objective_of(recipe, contract=model.contract),
        list(weights.values()),
        schedule=schedule,
        depth=depth,
    )
    found = {name: weight.grad for name, weight in weights.items() if weight.grad is not None}
    return loss, found


@pytest.mark.parametrize("kind", ["bert", "modernbert", "mpnet"])
def test_a_loss_at_two_depths_is_that_of_the_model_and_of_its_first_layers(
    kind: str, tmp_path: Path
) -> None:
    folder = tiny_model(tmp_path / "model", kind=kind, sizes={"num_hidden_layers": 3})
    short = tmp_path / "short"
    drop_layers(folder, to=short, keep=[0, 1])
    whole, first = TextModel.open(folder), TextModel.open(short)
    for tokens in (32, 100_000):  # most is embedded twice, or nothing
        schedule = {"graph_tokens": tokens, "precision": "float32"}
        plain = Recipe.of({"objective": {"dims": [8]}, "schedule": schedule})
        at_once = Recipe.of({"objective": {"dims": [8], "layer_weight": 0.5}, "schedule": schedule})
        loss, found = gradients(whole, at_once, depth=2)
        (one, of_whole), (other, of_first) = gradients(whole, plain), gradients(first, plain)
        assert loss == pytest.approx(one + 0.5 * other, rel=1e-5)
        for name, gradient in found.items():
            expected = of_whole[name] + 0.5 * of_first.get(name, torch.zeros(()))
            torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)
    assert whole.backbone.config.num_hidden_layers == 3


def examples(seed: int, memory: Tensor | None = None) -> Examples:
    torch.manual_seed(seed)
    query, document = (torch.randn(n, 5, dtype=torch.float64, requires_grad=True) for n in (4, 6))
    columns = {"positive": torch.tensor([0, 1, 2, 5]), "ignore": torch.zeros(4, 6, dtype=bool)}
    learned = {} if memory is None else {NAME: memory}
    return Examples(Rows(query), Rows(document), columns, learned=learned)


def test_remembered_documents_are_negatives_unless_they_score_above_the_positive() -> None:
    memory = torch.cat([torch.randn(3, 5), torch.zeros(2, 5)]).double()
    wrapped, plain = examples(0, memory), examples(0)
    asked, given = plain.query.vectors, plain.document.vectors
    near = torch.nn.functional.cosine_similarity(asked[:, None], memory[None, :3], dim=-1)
    own = torch.nn.functional.cosine_similarity(asked, given[plain.columns["positive"]], dim=-1)
    logits = torch.nn.functional.cosine_similarity(asked[:, None], given[None], dim=-1)
    logits = torch.cat([logits, near.masked_fill(near > own[:, None], -torch.inf)], 1) / 0.05
    expected = torch.nn.functional.cross_entropy(logits, plain.columns["positive"])
    objective = Memory(InfoNCE(), 5)
    loss = objective(wrapped)
    torch.testing.assert_close(loss, expected)
    (loss + expected).backward()
    for one, other in ((wrapped.query, plain.query), (wrapped.document, plain.document)):
        torch.testing.assert_close(one.vectors.grad, other.vectors.grad)
    kept = torch.cat([given, memory])[:5]
    objective.remember(wrapped)
    torch.testing.assert_close(memory, kept)


def test_a_step_remembers_its_documents(tiny: Path) -> None:
    model = TextModel.open(tiny)
    recipe = Recipe.of({"objective": {"memory": 30}, "schedule": {"precision": "float32"}})
    data, trainer = data_of(model, 40), Trainer(model, recipe, 4)
    memory, filled = trainer.learned[NAME], []
    for step in range(1, 4):
        trainer.step(step, data.prepare(np.arange(8) + 8 * step, model))
        filled.append(int(memory.any(1).sum()))
    assert filled == [8, 16, 24]


def test_what_they_are_not_for(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="was made by all layers"):
        Recipe.of({"objective": {"memory": 9, "layer_weight": 1.0}})
    for name in ("symmetric", "cosent"):
        with pytest.raises(InputError, match="is for an objective that compares each"):
            objective_of(Recipe.of({"objective": {"name": name, "memory": 9}}))
    model = TextModel.open(tiny_model(tmp_path / "one", sizes={"num_hidden_layers": 1}))
    trainer = Trainer(model, Recipe.of({"objective": {"layer_weight": 1.0}}), 1)
    with pytest.raises(InputError, match="a model of two layers or more"):
        trainer.step(1, data_of(model, 8).prepare(np.arange(8), model))
