"""Joint training of several heads against its formula by naive loops, and its gradients with the
teacher held still.
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nearfield.train.objectives.self_distillation import SHARES, self_distillation

FUSION = {"dense": 1.0, "sparse": 0.3, "multi-vector": 1.0}


def batch(
    seed: int, queries: int = 3, documents: int = 6
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Scores (float64), positives, and which documents are no negatives, some positives
    among them.
    """
    generator = torch.Generator().manual_seed(seed)
    scores = {
        head: torch.randn(queries, documents, generator=generator, dtype=torch.float64)
        for head in FUSION
    }
    ignore = torch.rand(queries, documents, generator=generator) < 0.3
    return scores, torch.randint(documents, (queries,), generator=generator), ignore


def fused(scores: dict[str, Tensor]) -> Tensor:
    return torch.stack([FUSION[head] * own for head, own in scores.items()]).sum(0)


def naive(
    scores: dict[str, Tensor],
    positive: Tensor,
    temperature: float,
    ignore: Tensor | None,
    teacher: Tensor,
) -> float:
    """The loss by loops over queries and documents, with the soft labels of `teacher`'s scores."""

    def shares_of(row: list[float], kept: list[int]) -> dict[int, float]:
        total = sum(math.exp(row[at] / temperature) for at in kept)
        return {at: math.exp(row[at] / temperature) / total for at in kept}

    hard = soft = 0.0
    count, heads = len(positive), len(scores)
    for query, own in enumerate(positive.tolist()):
        kept = [
            at
            for at in range(teacher.shape[1])
            if at == own or ignore is None or not ignore[query, at]
        ]
        labels = shares_of(teacher[query].tolist(), kept)
        hard -= math.log(shares_of(fused(scores)[query].tolist(), kept)[own]) / count
        for head, rows in scores.items():
            shares = shares_of(rows[query].tolist(), kept)
            hard -= SHARES[head] * math.log(shares[own]) / count
            soft -= SHARES[head] * sum(labels[at] * math.log(shares[at]) for at in kept) / count
    return (hard / (heads + 1) + soft / heads) / 2


@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.5, 2.0]), st.booleans())
@settings(max_examples=30)
def test_it_is_its_formula(seed: int, temperature: float, masked: bool) -> None:
    scores, positive, ignore = batch(seed)
    given_ = ignore if masked else None
    ours = self_distillation(
        scores, positive, temperature=temperature, fusion=FUSION, ignore=given_
    )
    assert float(ours) == pytest.approx(
        naive(scores, positive, temperature, given_, fused(scores)), rel=1e-9
    )


def test_the_gradients_are_those_of_the_formula_with_the_soft_labels_held_still() -> None:
    scores, positive, ignore = batch(1)
    teacher, step = fused(scores), 1e-6
    for own in scores.values():
        own.requires_grad_()
    self_distillation(scores, positive, temperature=0.5, fusion=FUSION, ignore=ignore).backward()
    for head, own in scores.items():
        found = own.grad
        assert found is not None
        for row in range(own.shape[0]):
            for column in range(own.shape[1]):
                values = []
                for sign in (1, -1):
                    moved = {name: part.detach().clone() for name, part in scores.items()}
                    moved[head][row, column] += sign * step
                    values.append(naive(moved, positive, 0.5, ignore, teacher.detach()))
                assert float(found[row, column]) == pytest.approx(
                    (values[0] - values[1]) / (2 * step), abs=1e-8
                )


def test_a_head_that_says_what_all_say_gets_no_more_from_their_labels() -> None:
    one, positive, _ = batch(2)
    scores = dict.fromkeys(FUSION, one["dense"].requires_grad_())
    third = dict.fromkeys(FUSION, 1 / 3)
    even = self_distillation(
        scores, positive, temperature=0.5, fusion=third, shares=dict.fromkeys(FUSION, 1.0)
    )
    hard = torch.nn.functional.cross_entropy(one["dense"] / 0.5, positive)
    p = torch.softmax(one["dense"] / 0.5, -1)
    entropy = -(p * p.log()).sum(-1).mean()
    assert float(even.detach()) == pytest.approx(float((hard + entropy).detach()) / 2)
