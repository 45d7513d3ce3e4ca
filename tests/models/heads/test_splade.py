from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nearfield.batch.packed import Packed
from nearfield.errors import ModelError
from nearfield.models.heads import splade
from nearfield.models.heads.splade import ACTIVATIONS, POOLINGS, Splade

WIDTH, VOCABULARY = 5, 11


def batch(*lengths: int) -> Packed:
    offsets = np.cumsum([0, *lengths]).astype(np.int64)
    return Packed(np.zeros(offsets[-1], np.int32), offsets, np.arange(len(lengths)))


def head(pooling: str, activation: str, *, seed: int = 0) -> Splade:
    with torch.random.fork_rng():
        torch.random.manual_seed(seed)
        return Splade(
            nn.Linear(WIDTH, WIDTH).double(),
            nn.Linear(WIDTH, VOCABULARY).double(),
            pooling=pooling,
            activation=activation,
        )


def states(tokens: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(tokens, WIDTH)))


def naive(made: Splade, given: Tensor, packed: Packed) -> Tensor:
    rows = []
    for start, end in zip(packed.offsets[:-1], packed.offsets[1:], strict=True):
        total = torch.zeros(VOCABULARY, dtype=torch.float64)
        for state in given[start:end]:
            weights = torch.log(1 + torch.relu(made.decoder(made.transform(state))))
            weights = torch.log(1 + weights) if made.activation == "log1p_relu" else weights
            total = torch.maximum(total, weights) if made.pooling == "max" else total + weights
        rows.append(total)
    return torch.stack(rows)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("tokens", [3, 1000])
@pytest.mark.parametrize("lengths", [(4, 3, 3, 1), (4, 0, 0), (5, 2, 0)])
def test_weights_and_gradients_are_those_of_plain_loops(
    pooling: str,
    activation: str,
    tokens: int,
    lengths: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(splade, "_TOKENS", tokens)
    made, packed, given = head(pooling, activation), batch(*lengths), states(sum(lengths))
    outputs, gradients = [], []
    for compute in (made.forward, lambda one, two: naive(made, one, two)):
        leaf = given.clone().requires_grad_()
        for weight in made.parameters().values():
            weight.grad = None
        output = compute(leaf, packed)
        (output * torch.arange(output.numel()).view_as(output)).sum().backward()
        outputs.append(output.detach())
        gradients.append([leaf.grad, *(weight.grad for weight in made.parameters().values())])
    torch.testing.assert_close(*outputs)
    for ours, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, plain)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_gradcheck(pooling: str) -> None:
    made, packed = head(pooling, "relu"), batch(3, 2)
    assert torch.autograd.gradcheck(
        lambda given: made.forward(given, packed), states(5).requires_grad_()
    )


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_text_without_tokens_has_no_weights_and_gives_no_gradient(pooling: str) -> None:
    made = head(pooling, "relu")
    output = made.forward(states(2).requires_grad_(), batch(2, 0, 0))
    assert output.shape == (3, VOCABULARY)
    assert not output[1:].any()
    output.sum().backward()
    assert made.forward(states(0), batch()).shape == (0, VOCABULARY)


def test_embeddings_hold_the_weights_above_zero() -> None:
    made, packed = head("max", "relu"), batch(4, 2)
    with torch.inference_mode():
        output = made.forward(states(6), packed)
        stored = made.embeddings(output, packed)
    np.testing.assert_allclose(stored.matrix().toarray(), output.numpy(), rtol=1e-6)
    assert stored.active.tolist() == (output > 0).sum(1).tolist()


def test_an_unknown_pooling_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"no pooling 'maxx'.*Did you mean 'max'"):
        head("maxx", "relu")
