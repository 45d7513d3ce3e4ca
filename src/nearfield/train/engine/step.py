"""One step of training: what it needs, made before it, and the gradients that it ends with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nearfield.batch.packed import Packed, packed_batches
from nearfield.batch.tokens import Tokens
from nearfield.errors import ModelError
from nearfield.models.backbones.native_layers import NativeLayers
from nearfield.models.heads.head import Output
from nearfield.models.heads.represented import Represented, Rows
from nearfield.models.heads.three import Together
from nearfield.train.data.training_data import Batch, Positions, TrainingData, possibly_relevant
from nearfield.train.engine.gradient_cache import cached_backward
from nearfield.train.engine.group import ALONE, Group
from nearfield.train.objectives.flops import flops
from nearfield.train.objectives.in_rows import in_rows
from nearfield.train.objectives.infonce import infonce_of_scores
from nearfield.train.objectives.kl import kl
from nearfield.train.objectives.margin_mse import margin_mse
from nearfield.train.objectives.matryoshka import Loss, matryoshka
from nearfield.train.objectives.self_distillation import self_distillation
from nearfield.train.recipe import Recipe
from nearfield.types.contract import Contract

# of one forward pass of torch on a processor: the states of a layer then stay in its cache (see
# docs/log.md)
MINI_TOKENS = 2048
# of the kernels, which keep to the cache themselves and share many among threads more evenly, and
# of a GPU to fill it
LARGE_TOKENS = 8192
_ROWS = 256  # queries whose possibly relevant documents are looked up at once


class Trained(Protocol):
    """A model whose weights are changed: a `TextModel`, or what goes through steps as it does."""

    backbone: Any
    adapters: Any
    device: torch.device
    precision: str
    packs: bool
    layers: NativeLayers | None

    @property
    def folder(self) -> Any:
        """What its folder says."""

    def parameters(self) -> dict[str, nn.Parameter]:
        """Every weight once, by name."""

    def embed(self, batch: Packed) -> Any:
        """What a loss is computed of, differentiable: a tensor or several."""


@dataclass(frozen=True)
class Step:
    """A batch of B pairs with U different queries and N different documents, each text once.

    `parts`: all texts in packed mini-batches; `place`: (U + N,) int64, the row of each text in the
    parts' embeddings laid end to end, queries before documents. `query`: (B,) int64 in 0..U-1;
    `positive`: (B,) int64 in 0..N-1. `ignored`: (2, K) int64, the rows and columns of the (B, N)
    score matrix at documents that may be relevant to the query. `own`: (B, 1 + k) int64, the
    columns of each query's positive and hard negatives, -1 for none, and `teacher`: (B, 1 + k), a
    teacher's scores of them, where there is one.
    """

    parts: Sequence[Packed]
    place: Tensor
    query: Tensor
    positive: Tensor
    ignored: npt.NDArray[np.int64]
    own: Tensor | None = None
    teacher: Tensor | None = None

    def __len__(self) -> int:
        return len(self.query)

    @property
    def tokens(self) -> int:
        """Tokens of all texts."""
        return sum(len(part.ids) for part in self.parts)

    @property
    def negatives(self) -> int:
        """See Batch.negatives; a query's own positive is among what is ignored."""
        documents = len(self.place) - int(self.query.max()) - 1
        return len(self) * documents - int(self.ignored.shape[1])

    def loss(
        self, model: Any, recipe: Recipe, sparsity: float = 1.0
    ) -> Callable[[Sequence[Output]], Tensor]:
        """See Batch.loss: the recipe's objective, and what a sparse model's terms cost."""
        objective = objective_of(self, model.contract, recipe)
        place, query, positive = (
            part.to(model.device) for part in (self.place, self.query, self.positive)
        )
        queries = int(self.query.max()) + 1

        def of_outputs(outputs: Sequence[Output]) -> Tensor:
            items = model.head.represented(outputs, self.parts, place)
            asked, given = items[:queries], items[queries:]
            return objective(asked[query], given, positive) + sparsity * cost_of_terms(
                None if model.queries else asked, given, recipe
            )

        return of_outputs

    def ignore(self, rows: slice, documents: int) -> Tensor:
        """(rows, N) bool, True at what is no negative."""
        start, end = np.searchsorted(self.ignored[0], [rows.start, rows.stop])
        mask = torch.zeros(rows.stop - rows.start, documents, dtype=torch.bool)
        at = torch.from_numpy(self.ignored[:, start:end])
        mask[at[0] - rows.start, at[1]] = True
        return mask


def prepare_step(
    data: TrainingData, batch: Positions, contract: Contract, *, processes: int = 1, budget: int = 0
) -> Step:
    """The step of the pairs at `batch: (B,)`: tokens, mini-batches of up to `budget` tokens, and
    which documents are no negatives.
    """
    pairs = data.pairs
    negatives = pairs.negatives[batch].ravel()
    queries, query = np.unique(pairs.query[batch], return_inverse=True)
    documents, where = np.unique(
        np.concatenate([pairs.positive[batch], negatives[negatives >= 0]]), return_inverse=True
    )
    parts = mini_batches(
        data.queries.tokens(queries),
        data.documents.tokens(documents),
        contract,
        processes=processes,
        budget=budget,
    )
    place = np.argsort(np.concatenate([part.items for part in parts]))
    found = []
    for start in range(0, len(batch), _ROWS):
        some = batch[start : start + _ROWS]
        at = np.nonzero(possibly_relevant(data, pairs.query[some], pairs.positive[some], documents))
        found.append(np.stack([at[0] + start, at[1]]))
    rows, columns = (
        torch.from_numpy(part.astype(np.int64)) for part in (query, where[: len(batch)])
    )
    step = Step(parts, torch.from_numpy(place), rows, columns, np.concatenate(found, 1))
    if data.teacher is None:
        return step
    own = np.full((len(batch), 1 + pairs.negatives.shape[1]), -1, np.int64)
    own[:, 0] = where[: len(batch)]
    own[:, 1:][pairs.negatives[batch] >= 0] = where[len(batch) :]
    return replace(step, own=torch.from_numpy(own), teacher=torch.from_numpy(data.teacher[batch]))


def mini_tokens(model: Trained, recipe: Recipe) -> int:
    """How many tokens of a step go through `model` at once, at most: on the kernels and on a GPU as
    many as make equal parts of schedule.graph_tokens, so that what may be held of a step is held.
    """
    if model.layers is None and model.device.type != "cuda":
        return MINI_TOKENS
    most = recipe.schedule.graph_tokens
    return most // -(-most // LARGE_TOKENS)


def mini_batches(
    queries: Tokens, documents: Tokens, contract: Contract, *, processes: int = 1, budget: int = 0
) -> list[Packed]:
    """All texts, longest first, in mini-batches of up to `budget` tokens (0: `MINI_TOKENS`), at
    least as many as there are processes where the texts allow. Documents are numbered after the
    queries.

    Queries and documents share mini-batches, unless the prompt of one is longer than the other's
    and isn't pooled, or queries are looked up.
    """
    total = len(queries.ids) + len(documents.ids)
    budget = max(1, min(budget or MINI_TOKENS, -(-total // processes)))
    longest = max(int(part.lengths.max(initial=0)) for part in (queries, documents))
    # as many mini-batches, but of about the same size
    budget = min(budget, -(-total // max(1, -(-total // budget))) + longest)
    alike = contract.include_prompt or queries.prompt_tokens == documents.prompt_tokens
    if alike and queries.looked_up == documents.looked_up:
        return packed_batches(queries.followed_by(documents), budget)
    after = len(queries.lengths)
    moved = [replace(part, items=part.items + after) for part in packed_batches(documents, budget)]
    return [*packed_batches(queries, budget), *moved]


def training_step(
    model: Trained,
    step: Batch,
    recipe: Recipe,
    weights: Sequence[Tensor],
    *,
    sparsity: float = 1.0,
    group: Group = ALONE,
) -> float:
    """Forward and backward of one step; gradients are left in `weights`, clipped. Returns the loss.

    `sparsity` is the share of what the recipe has a sparse model's terms cost that counts at this
    step. Raises ModelError when the loss or a gradient is no finite number.
    """
    loss = step.loss(model, recipe, sparsity)
    value = cached_backward(
        model.embed, step.parts, loss, held=held_parts(step, recipe, group), group=group
    )
    group.add(weights)
    if not torch.isfinite(
        torch.nn.utils.clip_grad_norm_(weights, recipe.schedule.clip, foreach=True)
    ):
        raise ModelError(
            "a gradient became infinite or NaN; lower schedule.rate or use precision = 'float32'"
        )
    return value


def cost_of_terms(
    query: Represented | None, document: Represented, recipe: Recipe
) -> Tensor | float:
    """What the terms of a step's queries and documents, each counted once, cost a sparse model by
    the recipe; 0 where nothing.

    Queries that are looked up have the terms that they have, and count as None.
    """
    cost: Tensor | float = 0.0
    for weight, side in ((recipe.sparsity.query, query), (recipe.sparsity.document, document)):
        if weight and isinstance(side, Rows):
            cost = cost + weight * flops(side.vectors)
    return cost


def held_parts(step: Batch, recipe: Recipe, group: Group = ALONE) -> int:
    """How many of this process's mini-batches keep their graph: the first ones, up to
    schedule.graph_tokens tokens; one at least.
    """
    sizes = [len(part.ids) for part in step.parts[group.rank :: group.size]]
    return max(
        1, int(np.searchsorted(np.cumsum(sizes), recipe.schedule.graph_tokens, side="right"))
    )


def objective_of(step: Step, contract: Contract, recipe: Recipe) -> Loss:
    """The recipe's loss of one step's (query, document, positive), whatever kind they are of: it
    sees their scores alone.
    """

    def of_rows(rows: slice) -> Loss:
        def one(query: Represented, document: Represented, positive: Tensor) -> Tensor:
            if isinstance(query, Together) and isinstance(document, Together):
                ignore, temperature = (
                    step.ignore(rows, len(document)).to(positive.device),
                    recipe.objective.temperature,
                )
                each = query.scores_by_kind(document)
                own = self_distillation(
                    each, positive, temperature=temperature, fusion=query.fusion, ignore=ignore
                )
                return (
                    own
                    if step.teacher is None
                    else own
                    + distilled(query.scores(document), step=step, rows=rows, recipe=recipe)
                )
            return loss_of_scores(
                query.scores(document), positive, step=step, rows=rows, recipe=recipe
            )

        trained = recipe.objective.dims or contract.matryoshka_dims
        if not trained:
            return one
        # the whole vector is what the verdict is on
        dims = sorted({contract.dim, *trained}, reverse=True)
        return matryoshka(one, dims)

    return in_rows(of_rows)


def distilled(scores: Tensor, *, step: Step, rows: slice, recipe: Recipe) -> Tensor:
    """What the recipe's teacher adds to the loss of the scores (rows, N) of some of a step's
    queries: a scalar, 0 without a teacher.
    """
    if step.own is None or step.teacher is None:
        return scores.new_zeros(())
    own, teacher = (part[rows].to(scores.device) for part in (step.own, step.teacher))
    student = scores.gather(1, own.clamp(min=0)) / recipe.objective.temperature
    loss = {"kl": kl, "margin-mse": margin_mse}[recipe.distil.loss]
    return recipe.distil.weight * loss(student, teacher / recipe.distil.temperature, real=own >= 0)


def loss_of_scores(
    scores: Tensor, positive: Tensor, *, step: Step, rows: slice, recipe: Recipe
) -> Tensor:
    """What the recipe minimises of the scores (rows, N) of some of a step's queries against all of
    its documents: a scalar.
    """
    ignore = step.ignore(rows, scores.shape[1]).to(scores.device)
    loss = infonce_of_scores(
        scores, positive, temperature=recipe.objective.temperature, ignore=ignore
    )
    return (
        loss
        if step.teacher is None
        else loss + distilled(scores, step=step, rows=rows, recipe=recipe)
    )
