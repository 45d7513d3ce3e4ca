from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nearfield.batch.packed import Packed, packed_batches
from nearfield.batch.tokens import Tokeniser
from nearfield.models.heads.three import ThreeHeads
from nearfield.models.model import TextModel
from nearfield.similarity.fused import Fused
from nearfield.train.data.batch import Asked
from nearfield.train.engine.trainer import trainable
from nearfield.train.recipe import Recipe
from three_head_models import tiny_three_heads
from training import data_of, training_step

TEXTS = [
    "",
    "a cat and a dog",
    "the cat",
    "a cat and a cat : a cat",
    "tax law in the sun",
    "read a file line",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    return TextModel.open(tiny_three_heads(tmp_path_factory.mktemp("three") / "tiny-m3", dim=8))


def batches(model: TextModel, budget: int) -> list[Packed]:
    return packed_batches(
        Tokeniser.open(model.folder.transformer, max_tokens=64).tokenise(TEXTS), budget
    )


def head_of(model: TextModel) -> ThreeHeads:
    assert isinstance(model.head, ThreeHeads)
    return model.head


def test_each_token_weighs_and_has_its_vector_by_itself(model: TextModel) -> None:
    (batch,) = batches(model, 4096)
    head, states = head_of(model), model.states(batch).detach()
    found: Any = model.represent(batch)
    for item in range(len(batch)):
        own, ids = (
            part[batch.offsets[item] : batch.offsets[item + 1]]
            for part in (states, batch.ids.tolist())
        )
        weights: dict[int, float] = {}
        for state, term in zip(own, ids, strict=True):
            weight = max(0.0, float(head.sparse.layer(state).detach()))
            if term not in (0, 1, 2, 3) and weight:
                weights[term] = max(weights.get(term, 0.0), weight)
        assert dict(
            zip(
                found.parts["sparse"][[item]].terms.tolist(),
                found.parts["sparse"][[item]].weights.tolist(),
                strict=True,
            )
        ) == pytest.approx(weights)
        vectors = torch.stack(
            [
                torch.nn.functional.normalize(head.multi_vector.layer(state), dim=-1)
                for state in own[1:]
            ]
        )
        np.testing.assert_allclose(
            found.parts["multi-vector"][[item]].tokens.vectors, vectors.detach(), atol=1e-5
        )


@pytest.mark.parametrize("budget", [7, 4096])
def test_a_loss_sees_the_scores_of_the_embeddings(model: TextModel, budget: int) -> None:
    parts = batches(model, budget)
    place = torch.from_numpy(np.argsort(np.concatenate([part.items for part in parts])))
    items = head_of(model).represented([model.embed(part) for part in parts], parts, place)
    queries, documents = items[torch.tensor([1, 4, 1])], items[2:]
    whole = Fused.join([model.represent(part) for part in parts])[place.tolist()]  # type: ignore[misc]
    asked, given_ = whole[[1, 4, 1]], whole[2:]
    np.testing.assert_allclose(queries.scores(documents).detach(), asked.scores(given_), atol=1e-5)
    for kind, own in queries.scores_by_part(documents).items():
        np.testing.assert_allclose(
            own.detach(), asked.parts[kind].scores(given_.parts[kind]), atol=1e-5
        )
    short = items.truncate(16)
    assert len(short) == len(TEXTS)
    np.testing.assert_allclose(
        short.parts["dense"].scores(short.parts["dense"]).detach(),
        whole.parts["dense"].truncate(16).scores(whole.parts["dense"].truncate(16)),
        atol=1e-5,
    )


def test_the_gradients_are_those_of_one_pass_whatever_is_held(model: TextModel) -> None:
    data = data_of(model, 24, negatives=1)
    step = data.prepare(np.arange(24), model, Asked(processes=4))
    weights = trainable(model, Recipe())
    assert {"sparse.linear.weight", "multi_vector.linear.weight"} <= set(weights)
    found = []
    for held in (1, 1 << 20):
        value = training_step(
            model,
            step,
            Recipe.of({"schedule": {"graph_tokens": held, "clip": 1e9}}),
            list(weights.values()),
        )
        found.append(
            (
                value,
                {
                    name: weight.grad.clone()
                    for name, weight in weights.items()
                    if weight.grad is not None
                },
            )
        )
        for weight in weights.values():
            weight.grad = None
    assert found[0][0] == pytest.approx(found[1][0])
    for name, gradient in found[0][1].items():
        np.testing.assert_allclose(gradient, found[1][1][name], atol=1e-6, err_msg=name)
    assert all(
        float(found[0][1][name].abs().max()) > 0
        for name in ("sparse.linear.weight", "multi_vector.linear.weight")
    )


def test_training_on_one_batch_lowers_the_loss_of_every_head(tmp_path: Path) -> None:
    model = TextModel.open(tiny_three_heads(tmp_path / "tiny-m3", dim=8))
    data = data_of(model, 16)
    step = data.prepare(np.arange(16), model)
    weights = list(trainable(model, Recipe()).values())
    optimiser = torch.optim.AdamW(weights, lr=3e-3)
    losses = []
    for _ in range(8):
        losses.append(
            training_step(model, step, Recipe.of({"objective": {"temperature": 0.2}}), weights)
        )
        optimiser.step()
        optimiser.zero_grad()
    assert losses[-1] < 0.8 * losses[0]
