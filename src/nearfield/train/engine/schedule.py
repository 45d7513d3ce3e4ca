"""How many steps a run has, which batch each of them sees, its rate, and when dev is measured."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.recipe import Recipe
from nearfield.types.arrays import Positions

APART = 5  # steps between two measurements of dev, at least; one takes about as long as a step


def total_steps(pairs: TrainingPairs, recipe: Recipe) -> int:
    """Steps of the whole run: epochs times batches per epoch."""
    batches = pairs.epoch(recipe.schedule.batch, seed=recipe.seed, epoch=0)
    return max(1, math.ceil(len(batches) * recipe.schedule.epochs))


def batches_from(
    step: int, steps: int, pairs: TrainingPairs, recipe: Recipe
) -> Iterator[Positions]:
    """The pairs of each step after the first `step` of `steps`; only the epoch in use is held."""
    epoch = 0
    first = 0  # the number of steps before the epoch
    while first < steps:
        held = pairs.epoch(recipe.schedule.batch, seed=recipe.seed, epoch=epoch)
        yield from held[max(0, step - first) : steps - first]
        first += len(held)
        epoch += 1


def measured_steps(steps: int, evaluations: int) -> set[int]:
    """The steps after which dev is measured: evenly, the last one always; `evaluations` of them, or
    fewer in a short run, where dev would take as long as training.
    """
    evaluations = max(1, min(evaluations, round(steps / APART)))
    return {max(1, round(steps * part / evaluations)) for part in range(1, evaluations + 1)}


def sparsity_at(step: int, steps: int, recipe: Recipe) -> float:
    """The share of the recipe's sparsity weights that counts at step 1..steps: the square of the
    way through the warm-up, then 1.

    Formal et al. 2021 (arXiv 2107.05720), section 4.
    """
    warm = steps * recipe.sparsity.warmup
    return min(1.0, (step / warm) ** 2) if warm else 1.0


def rate_at(step: int, steps: int, recipe: Recipe) -> float:
    """The learning rate of step 1..steps: a linear rise over the warm-up, then a linear fall that
    would reach 0 after the last.
    """
    warm = max(1, round(steps * recipe.schedule.warmup))
    if step <= warm:
        return recipe.schedule.rate * step / warm
    return recipe.schedule.rate * (steps - step + 1) / (steps - warm + 1)
