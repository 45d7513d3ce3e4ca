"""The objective that a recipe asks for, composed of a loss and its wrappers."""

from __future__ import annotations

from nearfield.errors import InputError
from nearfield.train.objectives import GUIDED, POSITIVES, named
from nearfield.train.objectives.objective import Objective
from nearfield.train.recipe import Recipe
from nearfield.train.wrappers.depths import Depths
from nearfield.train.wrappers.distilled import Distilled
from nearfield.train.wrappers.flops import TermCosts
from nearfield.train.wrappers.in_rows import InRows
from nearfield.train.wrappers.learned_temperature import LearnedTemperature
from nearfield.train.wrappers.matryoshka import Matryoshka, sampled
from nearfield.train.wrappers.memory import Memory
from nearfield.train.wrappers.spread import Spread
from nearfield.types.contract import Contract


def objective_of(
    recipe: Recipe,
    usual: str = "infonce",
    contract: Contract | None = None,
    *,
    share: float = 1.0,
    step: int = 0,
) -> Objective:
    """What the recipe minimises for a model whose `usual` objective it is where it names none.

    `contract` is the model's, None where it makes no embeddings. `share`: how much of what terms
    cost counts. `step` is the number of the step, which decides what is drawn for it.
    """
    asked = recipe.objective
    distil = recipe.distil
    costs = recipe.sparsity
    # from the inside out: what is below a wrapper sees the examples as that wrapper gives them
    objective = named(asked.name or usual, asked.temperature, asked.parameters)
    cuts = objective.cuts
    if asked.dims and not cuts:
        raise InputError(
            f"objective.dims cannot be had with {asked.name}, which learns from whole vectors"
        )
    if asked.learn_temperature:
        objective = LearnedTemperature(objective)
    if distil.teacher:
        objective = Distilled(
            objective,
            distil.loss,
            weight=distil.weight,
            temperature=distil.temperature,
            student_temperature=asked.temperature,
        )
    dims = trained_dims(recipe, contract) if cuts else ()
    if dims:
        given = dict(zip(asked.dims, asked.dim_weights, strict=False))
        dims = sampled(dims, asked.dims_per_step, seed=recipe.seed, step=step)
        weights = tuple(given.get(dim, 1.0) for dim in dims)
        objective = Matryoshka(objective, dims, weights, distil.whole, asked.temperature)
    if asked.memory:
        _check_memory(objective)
        objective = Memory(objective, asked.memory)
    if objective.rowwise:
        objective = InRows(objective)
    # none of these is a mean over rows, so that they stand around what is computed in rows
    if asked.layer_weight:
        objective = Depths(objective, asked.layer_weight)
    if asked.spread:
        objective = Spread(objective, asked.spread)
    if costs.query or costs.document:
        objective = TermCosts(objective, costs.query, costs.document, share)
    return objective


def _check_memory(objective: Objective) -> None:
    if not objective.rowwise or not objective.needs >= POSITIVES or objective.needs & GUIDED:
        raise InputError(
            "objective.memory is for an objective that compares each query with all documents of a "
            "batch by the model alone, such as infonce"
        )


def trained_dims(recipe: Recipe, contract: Contract | None) -> tuple[int, ...]:
    """The dimensions that are trained at once, the largest first; none for the whole alone."""
    if contract is None:
        return ()
    asked = recipe.objective.dims or contract.matryoshka_dims
    # the whole vector is what the verdict is on
    if asked:
        return tuple(sorted({contract.dim, *asked}, reverse=True))
    return ()
