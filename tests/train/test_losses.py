"""The losses against their formulae by naive loops, and their gradients."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nearfield.models.heads.represented import Rows
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.infonce import InfoNCE, infonce
from nearfield.train.wrappers.flops import flops
from nearfield.train.wrappers.in_rows import InRows
from nearfield.train.wrappers.matryoshka import Matryoshka
from training import marked


def batch(
    seed: int,
    queries: int = 4,
    documents: int = 9,
    dim: int = 6,
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    query, document = (
        torch.randn(n, dim, generator=generator, dtype=dtype) for n in (queries, documents)
    )
    return query, document, torch.randperm(documents, generator=generator)[:queries]


def naive_infonce(
    query: Tensor,
    document: Tensor,
    positive: Tensor,
    temperature: float,
    similarity: str,
    ignore: Tensor | None,
) -> float:
    def near(a: list[float], b: list[float]) -> float:
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
        distance = math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))
        return {"cosine": dot / lengths, "dot": dot, "euclidean": -distance}[similarity]

    total = 0.0
    for row, own in enumerate(positive.tolist()):
        scores = {
            at: near(query[row].tolist(), document[at].tolist()) / temperature
            for at in range(len(document))
        }
        kept = [at for at in scores if at == own or ignore is None or not ignore[row, at]]
        most = max(scores[at] for at in kept)
        total -= scores[own] - most - math.log(sum(math.exp(scores[at] - most) for at in kept))
    return total / len(positive)


def examples(
    query: Tensor, document: Tensor, positive: Tensor, ignore: Tensor | None = None, **how: Any
) -> Examples:
    if ignore is None:
        ignore = torch.zeros(len(query), len(document), dtype=torch.bool)
    columns = {"positive": positive, "ignore": marked(ignore)}
    return Examples(Rows(query, **how), Rows(document, **how), columns)


@given(
    st.integers(0, 10_000),
    st.sampled_from(["cosine", "dot", "euclidean"]),
    st.sampled_from([0.02, 0.05, 1.0]),
    st.booleans(),
)
@settings(max_examples=40)
def test_infonce_is_its_formula(
    seed: int, similarity: str, temperature: float, masked: bool
) -> None:
    query, document, positive = batch(seed)
    ignore = (
        torch.rand(4, 9, generator=torch.Generator().manual_seed(seed)) < 0.4 if masked else None
    )
    ours = infonce(
        query, document, positive, temperature=temperature, similarity=similarity, ignore=ignore
    )
    assert float(ours) == pytest.approx(
        naive_infonce(query, document, positive, temperature, similarity, ignore),
        rel=1e-9,
        abs=1e-12,
    )


def test_the_gradients_are_right() -> None:
    query, document, positive = batch(1)
    ignore = torch.zeros(4, 9, dtype=torch.bool)
    ignore[0, :3] = True

    def loss(query: Tensor, document: Tensor) -> Tensor:
        objective = Matryoshka(InfoNCE(0.5), (6, 3))
        return objective(examples(query, document, positive, ignore, layer_norm=True))

    assert torch.autograd.gradcheck(loss, (query.requires_grad_(), document.requires_grad_()))


def test_an_ignored_positive_still_counts() -> None:
    query, document, positive = batch(2)
    everything = torch.ones(4, 9, dtype=torch.bool)
    assert float(
        infonce(query, document, positive, temperature=0.1, ignore=everything)
    ) == pytest.approx(0.0)


def test_rows_and_documents_may_stand_in_any_order() -> None:
    query, document, positive = batch(3)
    whole = infonce(query, document, positive, temperature=0.1)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    moved = torch.argsort(order)[positive]
    assert float(
        infonce(query.flip(0), document[order], moved.flip(0), temperature=0.1)
    ) == pytest.approx(float(whole))


def test_matryoshka_is_the_mean_over_cut_vectors() -> None:
    query, document, positive = batch(4)
    parts = []
    for dim in (6, 4, 2):
        cut = [
            vectors[:, :dim] / vectors[:, :dim].norm(dim=1, keepdim=True)
            for vectors in (query, document)
        ]
        parts.append(float(infonce(*cut, positive, temperature=0.1)))
    ours = Matryoshka(InfoNCE(0.1), (6, 4, 2))(examples(query, document, positive))
    assert float(ours) == pytest.approx(sum(parts) / 3)


def test_cut_vectors_learn_what_whole_ones_say_of_all_documents() -> None:
    query, document, positive = batch(4)

    def scores(dim: int) -> Tensor:
        cut = [nn.functional.normalize(vectors[:, :dim], dim=1) for vectors in (query, document)]
        return cut[0] @ cut[1].T / 0.2

    away = 0.0
    for dim in (4, 2):
        for said, wanted in zip(scores(dim).tolist(), scores(6).tolist(), strict=True):
            share = [math.exp(each) / sum(map(math.exp, wanted)) for each in wanted]
            own = [math.exp(each) / sum(map(math.exp, said)) for each in said]
            away += sum(p * math.log(p / q) for p, q in zip(share, own, strict=True)) / len(query)
    of = examples(query, document, positive)
    plain = float(InfoNCE(0.1)(of))
    ours = Matryoshka(InfoNCE(0.1), (6, 4, 2), whole=3.0, temperature=0.2)
    assert float(ours(of)) == pytest.approx((plain + 3.0 * away) / 3, rel=1e-9)


def test_whole_vectors_learn_nothing_from_cut_ones() -> None:
    query, document, positive = batch(4)
    query.requires_grad_()
    of = examples(query, document, positive)
    made = (InfoNCE(0.1)(of) / 2, Matryoshka(InfoNCE(0.1), (6, 2), whole=5.0)(of))
    plain, aligned = (torch.autograd.grad(loss, query)[0] for loss in made)
    torch.testing.assert_close(aligned[:, 2:], plain[:, 2:])  # only a whole vector has these
    assert not torch.allclose(aligned[:, :2], plain[:, :2])


@pytest.mark.parametrize("most", [1, 9, 18, 27, 1000])
def test_a_loss_in_rows_is_the_loss_and_has_its_gradients(most: int) -> None:
    """At 1 and 9 scores each query is a chunk, at 18 the four are two chunks, at 27 they are three
    and one, at 1,000 all are one.
    """
    ignore = torch.rand(4, 9, generator=torch.Generator().manual_seed(7)) < 0.3
    rows_seen = []

    class Counted(Matryoshka):
        def __call__(self, examples: Examples) -> Tensor:
            rows_seen.append(len(examples))
            return super().__call__(examples)

    whole, found = Counted(InfoNCE(0.3), (6, 3)), []
    for objective in (whole, InRows(whole, most=most)):
        query, document, positive = batch(5)
        value = objective(
            examples(query.requires_grad_(), document.requires_grad_(), positive, ignore)
        )
        value.backward()
        found.append((value.item(), query.grad, document.grad))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-12)
    torch.testing.assert_close(found[0][1:], found[1][1:], rtol=1e-10, atol=1e-12)
    assert max(rows_seen[1:]) == {1: 1, 9: 1, 18: 2, 27: 3, 1000: 4}[most]


def test_flops_is_the_sum_of_squared_mean_weights() -> None:
    weights = torch.randn(
        5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    ).relu()
    plain = sum(
        (sum(float(abs(weights[row, term])) for row in range(5)) / 5) ** 2 for term in range(7)
    )
    assert float(flops(weights)) == pytest.approx(plain)
    assert torch.autograd.gradcheck(
        flops, torch.rand(4, 6, dtype=torch.float64, requires_grad=True)
    )
