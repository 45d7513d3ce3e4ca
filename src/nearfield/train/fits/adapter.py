"""A query-side adapter: a small map of query vectors, trained against document vectors that stay as
they are.

It needs no model, only vectors: those of an API or a file as well as one's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from nearfield.errors import CollectionError, InputError
from nearfield.models.vector_map import MapConfig, VectorMap
from nearfield.train.engine.watcher import SAMPLE, Watcher, learned_from, refuse_one
from nearfield.train.fits.map_fit import MapSchedule, fit_map
from nearfield.train.objectives.infonce import infonce
from nearfield.types.arrays import Floats, Integers
from nearfield.types.progress import Progress, silent

# documents that a query is compared with in a step, where there are more: a block of scores is
# then 64 MB
NEGATIVES = 65_536


@dataclass(frozen=True)
class AdapterRecipe:
    """`kind` and `width` as in MapConfig. `decay` pulls the map towards the identity each step,
    relative to the rate (decoupled).
    """

    kind: str = "linear"
    width: int = 64
    epochs: int = 30
    batch: int = 256
    rate: float = 1e-3
    decay: float = 0.1
    temperature: float = 0.02
    seed: int = 0


@dataclass(frozen=True)
class AdapterData:
    """`query: (n, dim)` float32; `document: (m, dim)` float32, what may be a negative or a
    positive; `relevant[i]`: positions of query i's positives in `document`, and so no negatives;
    `own`: (n,) int64, that of the document that is query i itself and no negative either, -1 for
    none.
    """

    query: Floats
    document: Floats
    relevant: Sequence[Sequence[int]]
    own: Integers | None = None


def fit_adapter(
    data: AdapterData,
    recipe: AdapterRecipe,
    *,
    similarity: str = "cosine",
    measure: Callable[[VectorMap], float] | None = None,
    progress: Progress = silent,
) -> VectorMap:
    """The map of query vectors after the epoch at which `measure` (dev's mean, say) was highest;
    the identity is a candidate too.

    Each step is InfoNCE of a batch of queries over all documents (a random 65,536 where there are
    more): as documents are frozen, every one of them is a negative at the cost of a product.
    Without `measure` the last epoch's map is returned. Raises CollectionError where no query has a
    positive.
    """
    if data.query.shape[1] != data.document.shape[1]:
        raise InputError(
            f"queries have {data.query.shape[1]} dimensions and documents "
            f"{data.document.shape[1]}; wanted the same space"
        )
    counts = np.array([len(found) for found in data.relevant], np.int64)
    positives = np.array(list(chain.from_iterable(data.relevant)), np.int64)
    pairs = np.stack([np.repeat(np.arange(len(counts)), counts), positives], 1)
    if not len(pairs):
        raise CollectionError(
            "no query has a relevant document among those given; an adapter "
            "needs pairs to learn from"
        )
    dim = data.query.shape[1]
    width = 0 if recipe.kind == "linear" else recipe.width
    generator = torch.Generator().manual_seed(recipe.seed)
    trained = VectorMap(MapConfig(recipe.kind, dim, dim, width), generator=generator)
    refuse_one(data.query, "the model gives all queries")
    count = math.ceil(len(pairs) / recipe.batch) * recipe.epochs
    learned = learned_from(len(pairs), len(np.unique(positives)))
    steps = _Steps(data, pairs, recipe, similarity)
    fit_map(
        trained,
        lambda epoch: steps.of_epoch(trained, epoch),
        MapSchedule(recipe.epochs, recipe.rate, recipe.decay),
        watcher=Watcher(count, learned, may_fit=True),
        measure=None if measure is None else lambda: measure(trained),
        progress=progress,
        sample=steps.query[:SAMPLE],
    )
    return trained


class _Steps:
    """The losses of one fit's batches."""

    def __init__(
        self,
        data: AdapterData,
        pairs: Integers,
        recipe: AdapterRecipe,
        similarity: str,
    ) -> None:
        self.query = torch.from_numpy(data.query)
        self.document = torch.from_numpy(data.document)
        self.relevant = [np.asarray(found, np.int64) for found in data.relevant]
        if data.own is not None:  # no negative either
            both = zip(self.relevant, data.own, strict=True)
            self.relevant = [np.append(found, at) for found, at in both]
        self.pairs = pairs
        self.recipe = recipe
        self.similarity = similarity

    def of_epoch(self, trained: VectorMap, epoch: int) -> Iterator[tuple[Tensor, int, int]]:
        """All pairs once, in an order of the seed's and the epoch's."""
        # it orders the pairs, and draws the negatives where there are too many documents
        order = np.random.default_rng([self.recipe.seed, epoch])
        rows = order.permutation(len(self.pairs))
        for start in range(0, len(rows), self.recipe.batch):
            batch = self.pairs[rows[start : start + self.recipe.batch]]
            loss, negatives = self._loss(trained, batch, order)
            yield loss, len(batch), negatives

    def _loss(
        self, trained: VectorMap, batch: Integers, order: np.random.Generator
    ) -> tuple[Tensor, int]:
        """The loss of a batch, and how many pairs of a query and a negative it sees."""
        queries, positives = batch.T
        chosen = np.arange(len(self.document))  # ascending, so that a position is searched for
        document = self.document
        if len(chosen) > NEGATIVES:
            drawn = order.choice(len(chosen), NEGATIVES, replace=False)
            chosen = np.unique(np.concatenate([positives, drawn]))
            document = document[torch.from_numpy(chosen)]
        ignore = np.zeros((len(batch), len(chosen)), bool)
        for row, query in enumerate(queries):
            ignore[row] = np.isin(chosen, self.relevant[query])
        loss = infonce(
            trained(self.query[torch.from_numpy(queries)]),
            document,
            torch.from_numpy(np.searchsorted(chosen, positives)),
            temperature=self.recipe.temperature,
            similarity=self.similarity,
            ignore=torch.from_numpy(ignore),
        )
        return loss, int((~ignore).sum())
