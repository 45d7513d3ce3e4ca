"""A bridge: vectors of an old model mapped into a new model's space, so that a corpus is searched
with the new model at once and embedded again in the background.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nearfield.errors import InputError
from nearfield.models.vector_map import MapConfig, VectorMap
from nearfield.train.engine.watcher import Watcher, refuse_one
from nearfield.train.runs.map_fit import MapSchedule, fit_map
from nearfield.types.arrays import Floats
from nearfield.types.progress import Progress, silent

# times the mean variance of a dimension and the number of rows
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
HELD_OUT = 0.1
LEAST = 32


@dataclass(frozen=True)
class BridgeRecipe:
    """`width` hidden units beside the linear map, 0 for the linear map alone; `epochs` and `rate`
    train them.
    """

    width: int = 1024
    epochs: int = 40
    batch: int = 256
    rate: float = 1e-3
    seed: int = 0


def fit_bridge(
    old: Floats, new: Floats, recipe: BridgeRecipe | None = None, *, progress: Progress = silent
) -> VectorMap:
    """The map from `old: (n, from_dim)` to `new: (n, to_dim)`, vectors of the same n texts by the
    old and the new model.

    Ridge regression with an intercept in closed form, its strength chosen on a tenth of the rows
    that is held out, then, where recipe.width is not 0, a hidden layer beside it that is trained to
    raise the mean cosine and kept only where the held-out tenth says that it does. No labels are
    needed. Raises InputError for fewer than 32 rows or unequal numbers of them.
    """
    recipe = recipe or BridgeRecipe()
    if len(old) != len(new) or len(old) < LEAST:
        raise InputError(
            f"a bridge got {len(old)} old and {len(new)} new vectors; wanted the "
            f"same texts' by both models, at least {LEAST}"
        )
    for vectors, model in ((old, "old"), (new, "new")):
        refuse_one(vectors, f"the {model} model gives all texts")
    order = np.random.default_rng(recipe.seed).permutation(len(old))
    held, used = np.split(order, [max(8, int(HELD_OUT * len(old)))])
    fits = [_ridge(old[used], new[used], strength) for strength in RIDGES]
    cosines = [_mean_cosine(fit.apply_to(old[held]), new[held]) for fit in fits]
    linear = fits[int(np.argmax(cosines))]
    if not recipe.width:
        return linear
    generator = torch.Generator().manual_seed(recipe.seed)
    shape = MapConfig("mlp", old.shape[1], new.shape[1], recipe.width)
    bent = VectorMap(shape, generator=generator)
    bent.load_state_dict(linear.state_dict(), strict=False)
    sides = (torch.from_numpy(np.ascontiguousarray(side[used], np.float32)) for side in (old, new))
    given, wanted = sides
    generator = torch.Generator().manual_seed(recipe.seed)

    def batches(epoch: int) -> Iterator[tuple[Tensor, int, int]]:
        for batch in torch.split(torch.randperm(len(used), generator=generator), recipe.batch):
            near = nn.functional.cosine_similarity(bent(given[batch]), wanted[batch])
            yield 1 - near.mean(), len(batch), len(batch)

    def closeness() -> float:
        return _mean_cosine(bent.apply_to(old[held]), new[held])

    steps = recipe.epochs * -(-len(used) // recipe.batch)
    fit_map(
        bent,
        batches,
        MapSchedule(recipe.epochs, recipe.rate),
        watcher=Watcher(steps, f"{len(used):,} texts", may_fit=True),
        measure=closeness,
        progress=progress,
    )
    return bent if closeness() > max(cosines) else linear


def _ridge(old: Floats, new: Floats, strength: float) -> VectorMap:
    """W, b that minimise |W x + b - y|^2 + strength n var(x) |W|^2, solved in float64."""
    x, y = old.astype(np.float64), new.astype(np.float64)
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = x - x_mean, y - y_mean
    gram = x.T @ x
    weight = np.linalg.solve(
        gram + strength * np.trace(gram) / len(gram) * np.eye(len(gram)), x.T @ y
    ).T
    fitted = VectorMap(MapConfig("linear", old.shape[1], new.shape[1]))
    fitted.load_state_dict(
        {
            "weight": torch.from_numpy(weight).float(),
            "bias": torch.from_numpy(y_mean - weight @ x_mean).float(),
        }
    )
    return fitted


def _mean_cosine(a: Floats, b: Floats) -> float:
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(1) / np.maximum(lengths, 1e-12)).mean())
