"""What every objective of the registry promises, alone and in each wrapper."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nearfield.models.heads.represented import FusedItems, Rows
from nearfield.train.engine.gradient_cache import cached_backward
from nearfield.train.objectives import OBJECTIVES
from nearfield.train.objectives.compose import objective_of
from nearfield.train.objectives.examples import Column, Examples
from nearfield.train.objectives.infonce import likely_positives
from nearfield.train.objectives.objective import Objective
from nearfield.train.recipe import Recipe
from nearfield.train.wrappers.flops import TermCosts
from nearfield.train.wrappers.in_rows import InRows
from nearfield.train.wrappers.spread import Spread
from training import marked

QUERIES, DOCUMENTS, DIM, GUIDE = 6, 10, 5, 4
TOGETHER = torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
# the scores of an objective that does not take any number
SCORES = {
    "contrastive": TOGETHER,
    "online-contrastive": TOGETHER,
    "softmax": torch.tensor([0.0, 1.0, 2.0, 1.0, 0.0, 2.0], dtype=torch.float64),
}
# what a recipe says besides the objective's name
WRAPPED: dict[str, dict[str, Any]] = {
    "plain": {},
    "matryoshka": {"objective": {"dims": [3]}},
    "distilled": {"distil": {"teacher": "any", "temperature": 2.0}},
    "margin": {"distil": {"teacher": "any", "loss": "margin-mse", "weight": 0.3}},
    "costly": {"sparsity": {"query": 0.1, "document": 0.2}},
    "weighted": {"objective": {"dims": [4, 3, 2], "dim_weights": [0.5, 2.0, 1.0]}},
    "sampled": {"objective": {"dims": [4, 3, 2], "dims_per_step": 2}},
    "learned": {"objective": {"learn_temperature": True}},
    "spread": {"objective": {"spread": 0.5}},
}
# what an objective is given besides, in any wrapper
GIVEN: dict[str, dict[str, Any]] = {
    "guided": {"guide": "any"},
    "embedding-distillation": {"guide": "any"},
    "contrastive": {"parameters": {"margin": 1.1}},
    "online-contrastive": {"parameters": {"margin": 1.1}},
}


FILTERED = {"objective": {"parameters": {"filter_above": 0.9}}}


def fits(name: str, wrapper: str) -> bool:
    """Whether the objective can be had in the wrapper."""
    made, asked = OBJECTIVES[name], WRAPPED[wrapper].get("objective", {})
    if name == "self-distillation" and wrapper in ("costly", "spread"):
        return False  # its heads are not one vector
    if wrapper == "sampled":
        return name == "infonce"  # else as weighted
    temperature = "temperature" in made.__dataclass_fields__  # type: ignore[attr-defined]
    return (made.cuts or "dims" not in asked) and (temperature or wrapper != "learned")


CASES = [(name, wrapper) for name in OBJECTIVES for wrapper in WRAPPED if fits(name, wrapper)]
CASES += [("infonce", "filtered")]


class Contracted:
    """What an objective asks of a contract."""

    dim, matryoshka_dims = DIM, (DIM, 3)


def composed(name: str, wrapper: str) -> Objective:
    facts = {**WRAPPED, "filtered": FILTERED}[wrapper]
    asked = {"name": name, "temperature": 0.5, **GIVEN.get(name, {}), **facts.get("objective", {})}
    contract: Any = Contracted() if "dims" in asked else None
    return objective_of(Recipe.of({**facts, "objective": asked}), contract=contract, step=3)


@pytest.fixture(params=CASES, ids=" ".join)
def case(request: pytest.FixtureRequest) -> tuple[Objective, Callable[..., Examples]]:
    name, wrapper = request.param
    kind = together if name == "self-distillation" else rows
    objective = composed(name, wrapper)
    learned = {at: value.double() for at, value in objective.learns(DIM, GUIDE).items()}
    score = SCORES.get(name)
    own = {} if score is None else {"score": score}

    def make(*items: Any, **columns: Tensor) -> Examples:
        return examples(kind, items, learned=learned, **{**own, **columns})

    return objective, make


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
        "query": torch.tensor([0, 1, 2, 1, 2, 3]),
        "guide": torch.rand(QUERIES, DOCUMENTS, generator=generator, dtype=torch.float64),
        "guide_vectors": torch.randn(QUERIES, 2, GUIDE, generator=generator, dtype=torch.float64),
    }


def examples(
    kind: Callable[[Tensor], Any],
    items: tuple[Tensor, Tensor],
    *,
    learned: Mapping[str, Tensor],
    **own: Tensor,
) -> Examples:
    held: dict[str, Column] = {**columns(), **own}
    held["ignore"] = marked(held["ignore"])
    query, document = map(kind, items)
    return Examples(query, document, held, query, learned)


def test_gradients_are_the_differences_of_the_loss(case: Any) -> None:
    objective, make = case
    query, document = (part.requires_grad_() for part in vectors())
    loss = objective(make(query, document))
    assert loss.shape == ()
    assert float(loss.detach()) > 0
    if make(query, document).query.fusion is not None:
        pytest.skip("no gradient goes through what the heads say together")
    learned = make(query, document).learned
    beside = [value.clone().requires_grad_() for value in learned.values()]

    def value(query: Tensor, document: Tensor, *beside: Tensor) -> Tensor:
        seen = replace(make(query, document), learned=dict(zip(learned, beside, strict=True)))
        loss: Tensor = objective(seen)
        return loss

    assert torch.autograd.gradcheck(value, (query, document, *beside), fast_mode=True)


def test_rows_and_documents_may_stand_in_any_order(case: Any) -> None:
    objective, make = case
    query, document = vectors()
    generator = torch.Generator().manual_seed(3)
    row, column = (torch.randperm(n, generator=generator) for n in (QUERIES, DOCUMENTS))
    place = torch.argsort(column)
    known = make(query, document).columns
    held = {name: value[row] for name, value in columns().items()} | {"score": known["score"][row]}
    held["guide"] = held["guide"][:, column]
    held["positive"] = place[held["positive"]]
    held["ignore"] = held["ignore"][:, column]
    held["own"] = torch.where(held["own"] >= 0, place[held["own"]], -1)
    moved = objective(make(query[row], document[column], **held))
    torch.testing.assert_close(moved, objective(make(query, document)))


def test_what_is_masked_has_no_influence(case: Any) -> None:
    """But that the terms of every text cost something."""
    objective, make = case
    if isinstance(objective, TermCosts | Spread):
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
