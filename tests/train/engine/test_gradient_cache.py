"""Cached gradients against plain ones: on functions of any kind, on a tiny transformer in float64,
and on a real model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import AutoModel

from nearfield.errors import ModelError
from nearfield.models.model import TextModel
from nearfield.train.engine.gradient_cache import cached_backward
from nearfield.train.engine.step import held_parts
from nearfield.train.engine.trainer import trainable
from nearfield.train.objectives.infonce import infonce
from nearfield.train.recipe import Recipe
from training import data_of, training_step


def gradients(module: nn.Module) -> list[Tensor]:
    found = [weight.grad.clone() for weight in module.parameters() if weight.grad is not None]
    module.zero_grad(set_to_none=True)
    return found


def contrast(parts: Sequence[Tensor]) -> Tensor:
    """InfoNCE of the first half of all vectors with the second."""
    vectors = torch.cat([part.flatten(0, -2) for part in parts])
    half = len(vectors) // 2
    return infonce(vectors[:half], vectors[half:], torch.arange(half), temperature=0.3)


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=6),
    st.integers(0, 7),
    st.integers(0, 1000),
    st.booleans(),
)
@settings(max_examples=20)
def test_gradients_are_those_of_the_whole_batch(
    sizes: list[int], held: int, seed: int, tokens: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    shape = (2, 4) if tokens else (4,)  # of a text: one vector, or one a token
    parts = [
        torch.randn(size * 2, *shape, generator=generator, dtype=torch.float64) for size in sizes
    ]
    loss = contrast([module(part) for part in parts])
    loss.backward()
    plain = gradients(module)
    value = cached_backward(module, parts, contrast, held=held)
    assert value == pytest.approx(loss.item(), rel=1e-12)
    for ours, theirs in zip(gradients(module), plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_the_second_forward_pass_draws_the_random_numbers_of_the_first() -> None:
    module = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.5), nn.Linear(16, 3)).double()
    parts = [
        torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(at))
        for at in range(3)
    ]
    found = []
    for held in (3, 1, 0):
        with torch.random.fork_rng():
            torch.random.manual_seed(1)
            value = cached_backward(module, parts, contrast, held=held)
            after = torch.rand(1)
        found.append((value, gradients(module), after))
    for value, ours, after in found[1:]:
        assert value == found[0][0]
        assert after == found[0][2], "the replay moved the random numbers that come after"
        for one, other in zip(ours, found[0][1], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_embeddings_that_the_loss_leaves_out_and_frozen_weights() -> None:
    module = nn.Linear(4, 3)
    parts = [torch.ones(2, 4), torch.ones(2, 4)]
    cached_backward(module, parts, lambda vectors: vectors[0].sum(), held=0)
    assert module.weight.grad is not None
    torch.testing.assert_close(module.weight.grad, torch.full((3, 4), 2.0))
    module.zero_grad()
    module.weight.requires_grad_(False)
    cached_backward(module, parts, lambda vectors: vectors[0].sum() + vectors[1].sum(), held=1)
    torch.testing.assert_close(module.bias.grad, torch.full((3,), 4.0))


def test_a_loss_that_is_no_number_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"the loss became nan; lower schedule\.rate"):
        cached_backward(
            nn.Linear(2, 2), [torch.ones(1, 2)], lambda vectors: vectors[0].sum() * float("nan")
        )


def test_a_transformers_gradients_are_the_differences_of_its_loss(tiny: Path) -> None:
    """Central differences in float64 along random directions of all weights at once."""
    backbone = AutoModel.from_pretrained(tiny).double().eval()
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randint(5, 90, (4, length), generator=generator) for length in (9, 5, 3)]

    def embed(ids: Tensor) -> Tensor:
        vectors: Tensor = backbone(input_ids=ids).last_hidden_state.mean(1)
        return vectors

    cached_backward(embed, parts, contrast, held=1)
    weights = [weight for weight in backbone.parameters() if weight.grad is not None]

    def value() -> float:
        with torch.no_grad():
            return float(contrast([embed(part) for part in parts]))

    for _ in range(3):
        direction = [
            torch.randn(weight.shape, generator=generator, dtype=torch.float64)
            for weight in weights
        ]
        slope = sum(
            float((weight.grad * way).sum()) for weight, way in zip(weights, direction, strict=True)
        )
        ends = []
        for move in (1e-6, -2e-6):
            with torch.no_grad():
                for weight, way in zip(weights, direction, strict=True):
                    weight.add_(way, alpha=move)
            ends.append(value())
        with torch.no_grad():
            for weight, way in zip(weights, direction, strict=True):
                weight.add_(way, alpha=1e-6)
        assert slope == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4)


def weights_and_step(
    model: TextModel, recipe: Recipe, pairs: int
) -> tuple[list[Tensor], Callable[[], float]]:
    weights: list[Tensor] = list(trainable(model, recipe).values())
    data = data_of(model, pairs, negatives=1)
    step = data.prepare(np.arange(pairs), model)

    def run() -> float:
        return training_step(model, step, recipe, weights)

    return weights, run


def test_a_real_models_gradients_are_those_without_a_cache(
    local_model: Callable[[str], Path],
) -> None:
    model = TextModel.open(local_model("minilm"))
    found = []
    for graph_tokens in (1 << 20, 1):
        recipe = Recipe.of({"schedule": {"graph_tokens": graph_tokens, "clip": 1e6}})
        weights, run = weights_and_step(model, recipe, pairs=64)
        loss = run()
        found.append(
            (
                loss,
                torch.cat(
                    [weight.grad.reshape(-1) for weight in weights if weight.grad is not None]
                ),
            )
        )
        for weight in weights:
            weight.grad = None
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    assert float((found[0][1] - found[1][1]).norm() / found[0][1].norm()) < 1e-5


def test_the_first_mini_batches_keep_their_graph_and_a_single_one_always_does(tiny: Path) -> None:
    model = TextModel.open(tiny)
    step = data_of(model, 500, negatives=1).prepare(np.arange(500), model)
    sizes = [len(part.ids) for part in step.parts]
    assert len(sizes) > 2
    for tokens, held in [
        (1, 1),
        (sizes[0], 1),
        (sizes[0] + sizes[1], 2),
        (sum(sizes), len(sizes)),
        (1 << 20, len(sizes)),
    ]:
        assert held_parts(step, tokens) == held


@pytest.mark.parametrize("held", [0, 1, 3])
def test_a_part_may_be_embedded_to_several_tensors(held: int) -> None:
    """Of several shapes, one of which the loss leaves out."""
    one, two = nn.Linear(4, 3).double(), nn.Linear(4, 5).double()
    parts = [
        torch.randn(size, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(size))
        for size in (2, 4, 6)
    ]

    def embed(part: Tensor) -> tuple[Tensor, ...]:
        return one(part), two(part)[1:], part.sum(1)

    def loss(outputs: Sequence[tuple[Tensor, ...]]) -> Tensor:
        return contrast([output[0] for output in outputs]) + contrast(
            [output[1] for output in outputs]
        )

    plain = loss([embed(part) for part in parts])
    plain.backward()
    expected = gradients(nn.ModuleList([one, two]))
    assert cached_backward(embed, parts, loss, held=held) == pytest.approx(plain.item(), rel=1e-12)
    for ours, theirs in zip(gradients(nn.ModuleList([one, two])), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
