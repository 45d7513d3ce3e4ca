"""What every objective of the registry promises, alone and in each wrapper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers.sentence_transformer import losses as peers
from torch import Tensor, nn

from nearfield.models.heads.represented import FusedItems, Rows
from nearfield.train.engine.gradient_cache import cached_backward
from nearfield.train.objectives import OBJECTIVES
from nearfield.train.objectives.compose import objective_of
from nearfield.train.objectives.examples import Column, Examples
from nearfield.train.objectives.flops import TermCosts
from nearfield.train.objectives.in_rows import InRows
from nearfield.train.objectives.infonce import likely_positives
from nearfield.train.objectives.objective import Objective
from nearfield.train.recipe import Recipe
from training import marked

QUERIES, DOCUMENTS, DIM = 6, 10, 5
# what a recipe says besides the objective's name
WRAPPED: dict[str, dict[str, Any]] = {
    "plain": {},
    "matryoshka": {"objective": {"dims": [3]}},
    "distilled": {"distil": {"teacher": "any", "temperature": 2.0}},
    "margin": {"distil": {"teacher": "any", "loss": "margin-mse", "weight": 0.3}},
    "costly": {"sparsity": {"query": 0.1, "document": 0.2}},
}


FILTERED = {"objective": {"parameters": {"filter_above": 0.9}}}
CASES = [
    (name, wrapper)
    for name in OBJECTIVES
    for wrapper in WRAPPED
    # whose heads are not terms alone
    if not (name == "self-distillation" and wrapper == "costly")
] + [("infonce", "filtered")]


class Contracted:
    """What an objective asks of a contract."""

    dim, matryoshka_dims = DIM, (DIM, 3)


def composed(name: str, wrapper: str) -> Objective:
    facts = {**WRAPPED, "filtered": FILTERED}[wrapper]
    asked = {"name": name, "temperature": 0.5, **facts.get("objective", {})}
    contract: Any = Contracted() if "dims" in asked else None
    return objective_of(Recipe.of({**facts, "objective": asked}), contract=contract)


@pytest.fixture(params=CASES, ids=" ".join)
def case(request: pytest.FixtureRequest) -> tuple[Objective, Callable[..., Examples]]:
    name, wrapper = request.param
    kind = together if name == "self-distillation" else rows
    return composed(name, wrapper), lambda *items, **columns: examples(kind, *items, **columns)


def test_likely_positives_are_no_negatives() -> None:
    """Of one row's, a document above nine tenths of the positive's score."""
    scores = torch.tensor([[0.8, 0.75, 0.7, -0.9], [0.1, -0.5, -0.4, -0.6]])
    found = likely_positives(scores, torch.tensor([0, 1]), above=0.9)
    assert found.tolist() == [[True, True, False, False], [True, True, True, False]]


def rows(vectors: Tensor) -> Rows:
    return Rows(vectors)


def together(vectors: Tensor) -> FusedItems:
    """The same vectors as those of one head and, made positive, as those of another."""
    kinds = {"dense": Rows(vectors), "sparse": Rows(vectors.exp(), "dot")}
    return FusedItems(kinds, {"dense": 1.0, "sparse": 0.3}, "dense")


def vectors(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    made = [
        torch.randn(count, DIM, generator=generator, dtype=torch.float64)
        for count in (QUERIES, DOCUMENTS)
    ]
    return made[0], made[1]


def columns() -> dict[str, Tensor]:
    """Every column. Document 8 is ignored by all and document 9 is nobody's own."""
    generator = torch.Generator().manual_seed(1)
    ignore = torch.rand(QUERIES, DOCUMENTS, generator=generator) < 0.2
    ignore[:, 8:] = True
    own = torch.tensor([[0, 6, 7], [1, 7, -1], [2, -1, -1], [3, 6, 0], [4, 1, 2], [5, 7, 6]])
    teacher = torch.randn(own.shape, generator=generator, dtype=torch.float64)
    return {
        "positive": own[:, 0].clone(),
        "ignore": ignore,
        "own": own,
        "teacher": teacher,
        "score": torch.tensor([0.9, 0.1, 0.5, 0.5, 0.0, 1.0], dtype=torch.float64),
        "label": torch.tensor([0, 1, 0, 1, 2, 0]),
    }


def examples(
    kind: Callable[[Tensor], Any], query: Tensor, document: Tensor, **own: Tensor
) -> Examples:
    held: dict[str, Column] = {**columns(), **own}
    held["ignore"] = marked(held["ignore"])
    return Examples(kind(query), kind(document), held, kind(query))


def test_gradients_are_the_differences_of_the_loss(case: Any) -> None:
    objective, make = case
    query, document = (part.requires_grad_() for part in vectors())
    loss = objective(make(query, document))
    assert loss.shape == ()
    assert float(loss.detach()) > 0
    if make(query, document).query.fusion is not None:
        pytest.skip("no gradient goes through what the heads say together")
    assert torch.autograd.gradcheck(
        lambda query, document: objective(make(query, document)), (query, document)
    )


def test_rows_and_documents_may_stand_in_any_order(case: Any) -> None:
    objective, make = case
    query, document = vectors()
    generator = torch.Generator().manual_seed(3)
    row, column = (torch.randperm(n, generator=generator) for n in (QUERIES, DOCUMENTS))
    place = torch.argsort(column)
    held = {name: value[row] for name, value in columns().items()}
    held["positive"] = place[held["positive"]]
    held["ignore"] = held["ignore"][:, column]
    held["own"] = torch.where(held["own"] >= 0, place[held["own"]], -1)
    moved = objective(make(query[row], document[column], **held))
    torch.testing.assert_close(moved, objective(make(query, document)))


def test_what_is_masked_has_no_influence(case: Any) -> None:
    """But that the terms of every text cost something."""
    objective, make = case
    if isinstance(objective, TermCosts):
        objective = objective.inner
    query, document = (part.requires_grad_() for part in vectors())
    loss = objective(make(query, document))
    loss.backward()
    assert document.grad is None or not document.grad[8:].any()
    changed = document.detach().clone()
    changed[8:] *= -1.5
    torch.testing.assert_close(objective(make(query, changed)), loss)


@pytest.mark.parametrize("most", [1, 2 * DOCUMENTS, 4 * DOCUMENTS])
def test_a_loss_by_row_may_be_computed_some_rows_at_a_time(case: Any, most: int) -> None:
    objective, make = case
    if not isinstance(objective, InRows):
        pytest.skip("compares rows with each other")
    found = []
    for each in (objective.inner, InRows(objective.inner, most)):
        query, document = (part.requires_grad_() for part in vectors())
        loss = each(make(query, document))
        loss.backward()
        found.append((loss.detach(), query.grad, document.grad))
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("held", [0, 1, 9])
def test_the_gradient_cache_gives_the_same(case: Any, held: int) -> None:
    objective, make = case
    parts = torch.split(torch.cat(vectors()), [5, 4, 7])
    found = []
    for cached in (False, True):
        model = nn.Linear(DIM, DIM, dtype=torch.float64)
        with torch.no_grad():
            model.weight.copy_(torch.eye(DIM) + 0.1)
            model.bias.zero_()

        def loss(outputs: Sequence[Tensor]) -> Tensor:
            items = torch.cat(list(outputs))
            value: Tensor = objective(make(items[:QUERIES], items[QUERIES:]))
            return value

        if cached:
            value = cached_backward(model, parts, loss, held=held)
        else:
            whole = loss([model(part) for part in parts])
            whole.backward()
            value = float(whole.detach())
        assert model.weight.grad is not None
        found.append((value, model.weight.grad.numpy()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-12)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-9, atol=1e-12)


COSINE = peers.TripletDistanceMetric.COSINE
APART = peers.BatchHardTripletLossDistanceFunction.cosine_distance
# each peer's loss with the recipe that asks for the same; vectors of texts, and labels
PEERS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "infonce": (
        lambda model: peers.MultipleNegativesRankingLoss(model, scale=5.0),
        {"objective": {"name": "infonce", "temperature": 0.2}},
        "documents",
    ),
    "cosent": (
        lambda model: peers.CoSENTLoss(model, scale=5.0),
        {"objective": {"name": "cosent", "temperature": 0.2}},
        "score",
    ),
    "squared-error": (
        peers.CosineSimilarityLoss,
        {"objective": {"name": "squared-error"}},
        "score",
    ),
    "triplet": (
        lambda model: peers.TripletLoss(model, distance_metric=COSINE, triplet_margin=0.7),
        {"objective": {"name": "triplet", "parameters": {"margin": 0.7}}},
        "documents",
    ),
    "batch-hard": (
        lambda model: peers.BatchHardTripletLoss(model, distance_metric=APART, margin=0.7),
        {"objective": {"name": "batch-hard", "parameters": {"margin": 0.7}}},
        "label",
    ),
}


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_loss_of_sentence_transformers(name: str, seed: int) -> None:
    make, facts, reads = PEERS[name]
    query, document = (part.float() for part in vectors(seed))
    document = torch.cat([document, document.flip(0)])[: 2 * QUERIES]
    positives, negatives = document[:QUERIES], document[QUERIES:]
    given, target = [query, positives], None
    if reads == "documents":
        given = [query, positives, negatives]
    elif reads == "label":
        given, target = [query], torch.tensor([0, 1, 0, 1, 2, 2])
    elif reads == "score":
        target = columns()["score"].float()
    theirs = make(None).compute_loss_from_embeddings(given, target)
    place = torch.arange(QUERIES)
    documents = document if reads == "documents" else positives
    held = {
        "positive": place,
        "own": torch.stack([place, place + QUERIES], 1),
        "ignore": marked(torch.zeros(QUERIES, len(documents))),
        "score": columns()["score"].float(),
        "label": torch.tensor([0, 1, 0, 1, 2, 2]),
    }
    objective = objective_of(Recipe.of(facts))
    ours = objective(Examples(Rows(query), Rows(documents), held))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_every_objective_but_those_without_a_peer_is_compared_with_one() -> None:
    assert set(OBJECTIVES) - set(PEERS) == {"own-candidates", "self-distillation"}
