"""The objective that a recipe asks for, composed of a loss and its wrappers."""

from __future__ import annotations

from nearfield.train.objectives import OBJECTIVES
from nearfield.train.objectives.distilled import Distilled
from nearfield.train.objectives.flops import TermCosts
from nearfield.train.objectives.in_rows import InRows
from nearfield.train.objectives.matryoshka import Matryoshka
from nearfield.train.objectives.objective import Objective
from nearfield.train.recipe import Recipe
from nearfield.types.contract import Contract


def objective_of(recipe: Recipe, *, usual: str, contract: Contract | None) -> Objective:
    """What the recipe minimises for a model whose `usual` objective it is where it names none.

    `contract` is the model's, None where it makes no embeddings.
    """
    objective = _named(recipe, usual)
    if recipe.distil.teacher:
        asked = recipe.distil
        objective = Distilled(
            objective,
            asked.loss,
            weight=asked.weight,
            temperature=asked.temperature,
            student_temperature=recipe.objective.temperature,
        )
    dims = trained_dims(recipe, contract)
    if dims:
        objective = Matryoshka(objective, dims)
    if objective.rowwise:
        objective = InRows(objective)
    costs = recipe.sparsity
    if costs.query or costs.document:
        objective = TermCosts(objective, query=costs.query, document=costs.document)
    return objective


def _named(recipe: Recipe, usual: str) -> Objective:
    asked = recipe.objective
    made = OBJECTIVES[asked.name or usual]
    values = dict(asked.parameters)
    if "temperature" in made.__dataclass_fields__:  # type: ignore[attr-defined]
        values["temperature"] = asked.temperature
    return made(**values)


def trained_dims(recipe: Recipe, contract: Contract | None) -> tuple[int, ...]:
    """The dimensions that are trained at once, the largest first; none for the whole alone."""
    if contract is None:
        return ()
    asked = recipe.objective.dims or contract.matryoshka_dims
    if not asked:
        return ()
    # the whole vector is what the verdict is on
    return tuple(sorted({contract.dim, *asked}, reverse=True))
