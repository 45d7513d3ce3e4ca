"""The losses of a teacher's scores against their formulae by naive loops, and their gradients."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nearfield.train.objectives.kl import kl
from nearfield.train.objectives.margin_mse import margin_mse


def batch(seed: int, queries: int = 4, width: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, a teacher's scores and which are real; the positive always is, and one query has
    nothing else.
    """
    generator = torch.Generator().manual_seed(seed)
    scores, teacher = (
        3 * torch.randn(queries, width, generator=generator, dtype=torch.float64) for _ in range(2)
    )
    real = torch.rand(queries, width, generator=generator) < 0.7
    real[:, 0], real[-1, 1:] = True, False
    return scores, teacher, real


def naive_margin_mse(scores: Tensor, teacher: Tensor, real: Tensor) -> float:
    total = 0.0
    for s, t, here in zip(scores.tolist(), teacher.tolist(), real.tolist(), strict=True):
        squares = [((s[0] - s[at]) - (t[0] - t[at])) ** 2 for at in range(1, len(s)) if here[at]]
        total += sum(squares) / len(squares) if squares else 0.0
    return total / len(scores)


def naive_kl(scores: Tensor, teacher: Tensor, real: Tensor) -> float:
    total = 0.0
    for s, t, here in zip(scores.tolist(), teacher.tolist(), real.tolist(), strict=True):
        kept = [at for at in range(len(s)) if here[at]]
        p, q = (
            [math.exp(of[at]) / sum(math.exp(of[other]) for other in kept) for at in kept]
            for of in (t, s)
        )
        total += sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))
    return total / len(scores)


@given(st.integers(0, 10_000))
@settings(max_examples=40)
def test_each_is_its_formula(seed: int) -> None:
    scores, teacher, real = batch(seed)
    assert float(margin_mse(scores, teacher, real=real)) == pytest.approx(
        naive_margin_mse(scores, teacher, real), rel=1e-9, abs=1e-12
    )
    assert float(kl(scores, teacher, real=real)) == pytest.approx(
        naive_kl(scores, teacher, real), rel=1e-9, abs=1e-9
    )


@pytest.mark.parametrize("loss", [kl, margin_mse])
def test_the_gradients_are_right_and_a_teacher_who_agrees_has_none(loss: object) -> None:
    scores, teacher, real = batch(1)
    scores.requires_grad_()
    assert torch.autograd.gradcheck(lambda own: loss(own, teacher, real=real), [scores])
    # both compare a query's documents with each other only
    shifted = (scores.detach() + 2.5).requires_grad_()
    value = loss(shifted, scores.detach(), real=real)
    value.backward()
    assert value.item() == pytest.approx(0.0, abs=1e-12)
    assert shifted.grad is not None
    torch.testing.assert_close(shifted.grad, torch.zeros_like(shifted), atol=1e-12, rtol=0)
