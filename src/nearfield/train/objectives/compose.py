"""The objective that a recipe asks for, composed of a loss and its wrappers."""

from __future__ import annotations

from nearfield.train.objectives import named
from nearfield.train.objectives.distilled import Distilled
from nearfield.train.objectives.flops import TermCosts
from nearfield.train.objectives.in_rows import InRows
from nearfield.train.objectives.matryoshka import Matryoshka
from nearfield.train.objectives.objective import Objective
from nearfield.train.recipe import Recipe
from nearfield.types.contract import Contract


def objective_of(
    recipe: Recipe,
    usual: str = "infonce",
    contract: Contract | None = None,
    *,
    share: float = 1.0,
) -> Objective:
    """What the recipe minimises for a model whose `usual` objective it is where it names none.

    `contract` is the model's, None where it makes no embeddings. `share`: how much of what terms
    cost counts.
    """
    asked, distil, costs = recipe.objective, recipe.distil, recipe.sparsity
    objective = named(asked.name or usual, asked.temperature, asked.parameters)
    if distil.teacher:
        objective = Distilled(
            objective,
            distil.loss,
            weight=distil.weight,
            temperature=distil.temperature,
            student_temperature=asked.temperature,
        )
    dims = trained_dims(recipe, contract)
    if dims:
        objective = Matryoshka(objective, dims)
    if objective.rowwise:
        objective = InRows(objective)
    if costs.query or costs.document:
        objective = TermCosts(objective, costs.query, costs.document, share)
    return objective


def trained_dims(recipe: Recipe, contract: Contract | None) -> tuple[int, ...]:
    """The dimensions that are trained at once, the largest first; none for the whole alone."""
    if contract is None:
        return ()
    asked = recipe.objective.dims or contract.matryoshka_dims
    # the whole vector is what the verdict is on
    return tuple(sorted({contract.dim, *asked}, reverse=True)) if asked else ()
