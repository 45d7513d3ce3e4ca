"""A bridge: vectors of an old model mapped into a new model's space, so that a corpus is searched
with the new model at once and embedded again in the background.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import Ridge
from torch import Tensor, nn

from nearfield.errors import InputError
from nearfield.models.vector_map import MapConfig, VectorMap
from nearfield.train.engine.watcher import Watcher, refuse_one
from nearfield.train.fits.map_fit import MapSchedule, fit_map, toward
from nearfield.types.arrays import Floats
from nearfield.types.progress import Progress, silent

# times the mean variance of a dimension and the number of rows
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
HELD_OUT = 0.1
LEAST = 32


@dataclass(frozen=True)
class BridgeRecipe:
    """`width` hidden units beside the linear map, 0 for the linear map alone; `epochs` and `rate`
    train them. `sample` is how many documents both models embed to fit the map.
    """

    width: int = 1024
    epochs: int = 40
    batch: int = 256
    rate: float = 1e-3
    seed: int = 0
    sample: int = 2000


@dataclass(frozen=True)
class BridgeFit:
    """The `linear` map and the one with a hidden layer beside it, the same where none was asked
    for; `old: (m, from_dim)` and `new: (m, to_dim)`, vectors that neither was fitted to.
    """

    linear: VectorMap
    bent: VectorMap
    old: Floats
    new: Floats

    def at(self, share: float) -> VectorMap:
        """The map at this share of the way from the linear one."""
        if share:
            return toward(self.linear, self.bent, share)
        return self.linear

    def closeness(self, share: float) -> float:
        """The mean cosine of held-out vectors, by the map at this share, with the new model's."""
        return _mean_cosine(self.at(share).apply_to(self.old), self.new)


def fit_bridge(
    old: Floats,
    new: Floats,
    recipe: BridgeRecipe = BridgeRecipe(),
    *,
    progress: Progress = silent,
) -> BridgeFit:
    """The maps from `old: (n, from_dim)` to `new: (n, to_dim)`, vectors of the same n texts by the
    old and the new model.

    Ridge regression with an intercept in closed form, its strength chosen on a tenth of the rows
    that is held out, then, where recipe.width is not 0, a hidden layer beside it that is trained to
    raise the mean cosine, up to the epoch that the held-out tenth likes best. No labels are needed.
    Raises InputError for fewer than 32 rows or unequal numbers of them.
    """
    if len(old) != len(new) or len(old) < LEAST:
        raise InputError(
            f"a bridge got {len(old)} old and {len(new)} new vectors; wanted the "
            f"same texts' by both models, at least {LEAST}"
        )
    refuse_one(old, "the old model gives all texts")
    refuse_one(new, "the new model gives all texts")
    # a tenth of the fewest rows would be three, by which nothing is chosen
    order = np.random.default_rng(recipe.seed).permutation(len(old))
    held, used = np.split(order, [max(8, int(HELD_OUT * len(old)))])
    fits = [_ridge(old[used], new[used], strength) for strength in RIDGES]
    linear = max(fits, key=lambda fit: _mean_cosine(fit.apply_to(old[held]), new[held]))
    fit = BridgeFit(linear, linear, old[held], new[held])
    if recipe.width:
        bent = _bend(fit, old[used], new[used], recipe, progress)
        fit = BridgeFit(linear, bent, fit.old, fit.new)
    return fit


def _bend(
    fit: BridgeFit, old: Floats, new: Floats, recipe: BridgeRecipe, progress: Progress
) -> VectorMap:
    """The linear map with a hidden layer beside it, trained on these rows."""
    shape = MapConfig("mlp", old.shape[1], new.shape[1], recipe.width)
    bent = VectorMap(shape, generator=torch.Generator().manual_seed(recipe.seed))
    # it begins as the linear map: what the hidden layer adds is 0 at first
    bent.load_state_dict(fit.linear.state_dict(), strict=False)
    given = torch.from_numpy(np.ascontiguousarray(old, np.float32))
    wanted = torch.from_numpy(np.ascontiguousarray(new, np.float32))
    generator = torch.Generator().manual_seed(recipe.seed)

    def batches(epoch: int) -> Iterator[tuple[Tensor, int, int]]:
        for batch in torch.split(torch.randperm(len(old), generator=generator), recipe.batch):
            near = nn.functional.cosine_similarity(bent(given[batch]), wanted[batch])
            yield 1 - near.mean(), len(batch), len(batch)

    steps = recipe.epochs * math.ceil(len(old) / recipe.batch)
    fit_map(
        bent,
        batches,
        MapSchedule(recipe.epochs, recipe.rate),
        watcher=Watcher(steps, f"{len(old):,} texts", may_fit=True),
        measure=lambda: _mean_cosine(bent.apply_to(fit.old), fit.new),
        progress=progress,
    )
    return bent


def _ridge(old: Floats, new: Floats, strength: float) -> VectorMap:
    """W, b that minimise |W x + b - y|^2 + strength n var(x) |W|^2, solved in float64."""
    x = old.astype(np.float64)
    penalty = strength * len(x) * x.var(0).mean()
    found = Ridge(penalty, solver="cholesky").fit(x, new.astype(np.float64))
    fitted = VectorMap(MapConfig("linear", old.shape[1], new.shape[1]))
    fitted.load_state_dict(
        {
            "weight": torch.from_numpy(found.coef_).float(),
            "bias": torch.from_numpy(found.intercept_).float(),
        }
    )
    return fitted


def _mean_cosine(a: Floats, b: Floats) -> float:
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(1) / np.maximum(lengths, 1e-12)).mean())
