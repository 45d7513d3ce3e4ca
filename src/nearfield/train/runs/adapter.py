"""A query-side adapter: a small map of query vectors, trained against document vectors that stay as
they are.

It needs no model, only vectors: those of an API or a file as well as one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nearfield.types.arrays import Floats, Integers
from nearfield.errors import CollectionError, InputError
from nearfield.models.vector_map import MapConfig, VectorMap
from nearfield.train.objectives.infonce import infonce
from nearfield.train.engine.watcher import SAMPLE, Watcher, learned_from, refuse_one
from nearfield.types.progress import Progress, silent

# documents a query is compared with in a step, where there are more: a block of scores is then 64
# MB
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
    pairs = np.array(
        [(query, document) for query, found in enumerate(data.relevant) for document in found],
        np.int64,
    ).reshape(-1, 2)
    if not len(pairs):
        raise CollectionError(
            "no query has a relevant document among those given; an adapter "
            "needs pairs to learn from"
        )
    dim = data.query.shape[1]
    generator = torch.Generator().manual_seed(recipe.seed)
    trained = VectorMap(
        MapConfig(recipe.kind, dim, dim, 0 if recipe.kind == "linear" else recipe.width),
        generator=generator,
    )
    refuse_one(data.query, "the model gives all queries")
    steps = _Steps(data, pairs, recipe, similarity)
    best, kept = (measure(trained), _copy(trained)) if measure else (-np.inf, _copy(trained))
    for epoch in range(recipe.epochs):
        loss = steps.epoch(trained, epoch)
        if measure:
            value = measure(trained)
            best, kept = (value, _copy(trained)) if value > best else (best, kept)
        progress(
            epoch + 1,
            recipe.epochs,
            f"loss {loss:.3f}" + (f"  best dev {best:.3f}" if measure else ""),
        )
    if measure:
        trained.load_state_dict(kept)
    return trained


class _Steps:
    """The optimiser's state over the epochs of one fit."""

    def __init__(
        self,
        data: AdapterData,
        pairs: Integers,
        recipe: AdapterRecipe,
        similarity: str,
    ) -> None:
        self.query, self.document = torch.from_numpy(data.query), torch.from_numpy(data.document)
        own = np.full(len(data.relevant), -1) if data.own is None else data.own
        self.relevant = [
            np.append(np.asarray(found, np.int64), at)
            for found, at in zip(data.relevant, own, strict=True)
        ]
        self.pairs, self.recipe, self.similarity = pairs, recipe, similarity
        self.optimiser: torch.optim.Optimizer | None = None
        self.made, an_epoch = 0, -(-len(pairs) // recipe.batch)
        learned = learned_from(len(pairs), len(np.unique(pairs[:, 1])))
        self.watcher = Watcher(an_epoch * recipe.epochs, learned, may_fit=True)
        self.start: dict[str, Tensor] = {}

    def epoch(self, trained: VectorMap, epoch: int) -> float:
        """All pairs once, in an order of the seed's and the epoch's; returns the mean loss."""
        if self.optimiser is None:
            self.optimiser = torch.optim.Adam(trained.parameters(), lr=self.recipe.rate)
            self.start = _copy(trained)
        order = np.random.default_rng([self.recipe.seed, epoch])
        rows = order.permutation(len(self.pairs))
        rate = self.recipe.rate * (1 - epoch / self.recipe.epochs)
        self.optimiser.param_groups[0]["lr"] = rate
        total = 0.0
        for start in range(0, len(rows), self.recipe.batch):
            batch = self.pairs[rows[start : start + self.recipe.batch]]
            loss, negatives = self._loss(trained, batch, order)
            self.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            self._watch(trained, float(loss.detach()), negatives)
            with torch.no_grad():
                for name, weight in trained.named_parameters():
                    if name != "down":  # its product with `up` is what is pulled to zero
                        weight.lerp_(self.start[name], rate * self.recipe.decay)
            total += float(loss.detach()) * len(batch)
        return total / len(rows)

    def _watch(self, trained: VectorMap, loss: float, negatives: int) -> None:
        self.made += 1
        still = not any(
            weight.grad is not None and bool(weight.grad.any()) for weight in trained.parameters()
        )
        self.watcher.saw(self.made, loss=loss, negatives=negatives, still=still)
        if self.watcher.looks(self.made):
            with torch.no_grad():
                self.watcher.saw_vectors(self.made, trained(self.query[:SAMPLE]))

    def _loss(
        self, trained: VectorMap, batch: Integers, order: np.random.Generator
    ) -> tuple[Tensor, int]:
        """The loss of a batch, and how many pairs of a query and a negative it sees."""
        chosen = np.arange(len(self.document))
        if len(chosen) > NEGATIVES:
            chosen = np.unique(
                np.concatenate([batch[:, 1], order.choice(len(chosen), NEGATIVES, replace=False)])
            )
        ignore = np.zeros((len(batch), len(chosen)), bool)
        for row, query in enumerate(batch[:, 0]):
            ignore[row, np.flatnonzero(np.isin(chosen, self.relevant[query]))] = True
        positive = torch.from_numpy(np.searchsorted(chosen, batch[:, 1]))
        document = (
            self.document
            if len(chosen) == len(self.document)
            else self.document[torch.from_numpy(chosen)]
        )
        loss = infonce(
            trained(self.query[torch.from_numpy(batch[:, 0])]),
            document,
            positive,
            temperature=self.recipe.temperature,
            similarity=self.similarity,
            ignore=torch.from_numpy(ignore),
        )
        return loss, int((~ignore).sum())


def _copy(trained: VectorMap) -> dict[str, Tensor]:
    state: Mapping[str, Tensor] = trained.state_dict()
    return {name: weight.detach().clone() for name, weight in state.items()}
