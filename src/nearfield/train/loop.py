"""The training loop: steps, dev measurements, early stopping, and a state that a killed run goes on from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearfield.batch.packed import packed_batches
from nearfield.batch.tokens import Tokens
from nearfield.encoders.model import TextModel
from nearfield.errors import ModelError
from nearfield.store.run import RunFolder
from nearfield.train.checkpoint import Checkpoint, Floats, kept_weights, load_checkpoint, save_checkpoint
from nearfield.train.losses.infonce import infonce
from nearfield.train.losses.matryoshka import Loss, matryoshka
from nearfield.train.recipe import Recipe
from nearfield.train.sampling import TrainingPairs, epoch_batches
from nearfield.types.progress import Progress

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TrainingData:
    """What a step needs.

    `queries` and `documents` are tokens, cut to the recipe's max_tokens; `pairs` are positions in them; `same[d]` is one number for all
    documents of (nearly) the same text; `relevant[q]` holds the documents judged relevant to query q.
    """

    queries: Tokens
    documents: Tokens
    pairs: TrainingPairs
    same: Positions
    relevant: Sequence[set[int]]


def train(
    model: TextModel, data: TrainingData, recipe: Recipe, *, run: RunFolder, measure: Callable[[], Floats], progress: Progress
) -> dict[str, Tensor]:
    """Train `model` in place and return the weights that are kept, by parameter name (trained parameters only).

    `measure()` gives dev's values, one a query, for the model as it stands; see `Checkpoint` for what is kept. A checkpoint is
    written after each measurement; when one is there already, training goes on from it to the same result.
    """
    trained = trainable(model, recipe)
    optimiser = torch.optim.AdamW(list(trained.values()), lr=recipe.schedule.rate, weight_decay=recipe.schedule.weight_decay, fused=True)
    steps = total_steps(data.pairs, recipe)
    marks = measured_steps(steps, recipe.schedule.evaluations)
    state = load_checkpoint(run, trained, optimiser)
    if state is None:
        state = Checkpoint(step=0, peak=measure(), kept_step=0)
        run.restart_training({"step": 0, "dev": float(state.peak.mean()), "measure": recipe.measure})
        save_checkpoint(run, state, trained, optimiser)
    else:
        run.cut_training(state.step)
    batches = _Batches(data.pairs, recipe)
    while state.step < steps and state.stale < recipe.schedule.patience:
        started = time.perf_counter()
        step = state.step + 1
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, steps, recipe)
        loss = training_step(model, data, batches.at(step - 1), recipe, list(trained.values()))
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        speed = len(batches.at(step - 1)) / (time.perf_counter() - started)
        run.log_training(
            {"step": step, "steps": steps, "loss": loss, "rate": optimiser.param_groups[0]["lr"], "pairs_per_second": round(speed, 2)}
        )
        state = state.after(step)
        if step in marks:
            dev = measure()
            run.log_training({"step": step, "dev": float(dev.mean()), "measure": recipe.measure})
            state = state.measured(dev)
            save_checkpoint(run, state, trained, optimiser)
        progress(step, steps, f"loss {loss:.3f}  {speed:.1f} pairs/s  best dev {state.peak.mean():.3f}")
    return kept_weights(run, state)


def trainable(model: TextModel, recipe: Recipe) -> dict[str, torch.nn.Parameter]:
    """The parameters that training changes, by name; all others get requires_grad = False."""
    tables = [module for module in model.backbone.modules() if isinstance(module, torch.nn.Embedding)]
    embeddings = {id(weight) for table in tables for weight in table.parameters()}
    trained = {}
    for name, weight in model.parameters().items():
        frozen = recipe.schedule.freeze_embeddings and id(weight) in embeddings
        unused = name.startswith("pooler.")
        weight.requires_grad_(not (frozen or unused))
        if weight.requires_grad:
            trained[name] = weight
    return trained


def total_steps(pairs: TrainingPairs, recipe: Recipe) -> int:
    """Steps of the whole run: epochs times batches an epoch."""
    an_epoch = len(epoch_batches(pairs, recipe.schedule.batch, seed=recipe.seed, epoch=0))
    return max(1, math.ceil(an_epoch * recipe.schedule.epochs))


def measured_steps(steps: int, evaluations: int) -> set[int]:
    """The steps after which dev is measured: `evaluations` of them, evenly, the last one always."""
    return {max(1, round(steps * part / evaluations)) for part in range(1, evaluations + 1)}


def rate_at(step: int, steps: int, recipe: Recipe) -> float:
    """The learning rate of step 1..steps: a linear rise over the warm-up, then a linear fall that would reach 0 after the last."""
    warm = max(1, round(steps * recipe.schedule.warmup))
    if step <= warm:
        return recipe.schedule.rate * step / warm
    return recipe.schedule.rate * (steps - step + 1) / (steps - warm + 1)


class _Batches:
    """The batch of each step, epoch by epoch; only the epoch in use is held."""

    def __init__(self, pairs: TrainingPairs, recipe: Recipe) -> None:
        self._pairs, self._recipe = pairs, recipe
        self._epoch, self._first, self._held = -1, 0, list[Positions]()

    def at(self, step: int) -> Positions:
        while step >= self._first + len(self._held):
            self._first += len(self._held)
            self._epoch += 1
            self._held = epoch_batches(self._pairs, self._recipe.schedule.batch, seed=self._recipe.seed, epoch=self._epoch)
        return self._held[step - self._first]


def training_step(model: TextModel, data: TrainingData, batch: Positions, recipe: Recipe, weights: list[Tensor]) -> float:
    """Forward and backward of one batch; gradients are left in the parameters, clipped. Returns the loss.

    Raises ModelError when the loss is no finite number.
    """
    pairs = data.pairs
    negatives = pairs.negatives[batch].ravel()
    documents, where = np.unique(np.concatenate([pairs.positive[batch], negatives[negatives >= 0]]), return_inverse=True)
    positive = torch.from_numpy(where[: len(batch)].astype(np.int64))
    ignore = torch.from_numpy(possibly_relevant(data, pairs.query[batch], pairs.positive[batch], documents))
    query_vectors = embed_tokens(model, data.queries, pairs.query[batch])
    document_vectors = embed_tokens(model, data.documents, documents)
    kept = model.contract

    def one_loss(query: Tensor, document: Tensor, positive: Tensor) -> Tensor:
        return infonce(query, document, positive, temperature=recipe.objective.temperature, similarity=kept.similarity, ignore=ignore)

    objective: Loss = one_loss
    trained = recipe.objective.dims or kept.matryoshka_dims
    if trained:
        dims = sorted({kept.dim, *trained}, reverse=True)  # the whole vector is what the verdict is on
        objective = matryoshka(one_loss, dims, layer_norm=kept.layer_norm, normalise=kept.normalise)
    loss = objective(query_vectors, document_vectors, positive)
    if not torch.isfinite(loss):
        raise ModelError(f"the loss became {float(loss)}; lower schedule.rate or use precision = 'float32'")
    loss.backward()  # type: ignore[no-untyped-call]
    if not torch.isfinite(torch.nn.utils.clip_grad_norm_(weights, recipe.schedule.clip)):
        raise ModelError("a gradient became infinite or NaN; lower schedule.rate or use precision = 'float32'")
    return float(loss.detach())


def possibly_relevant(data: TrainingData, queries: Positions, positives: Positions, documents: Positions) -> npt.NDArray[np.bool_]:
    """(B, N) bool: True where a document is judged relevant to the query or is nearly the same text as its positive."""
    same = data.same
    ignore = same[positives][:, None] == same[documents][None, :]
    for row, query in enumerate(queries):
        ignore[row] |= np.isin(documents, list(data.relevant[int(query)]))
    marked: npt.NDArray[np.bool_] = ignore
    return marked


def embed_tokens(model: TextModel, tokens: Tokens, items: Positions, *, budget: int = 4096) -> Tensor:
    """Embeddings of `items` in their order: (len(items), dim), differentiable; an item that comes twice is embedded once."""
    unique, place = np.unique(items, return_inverse=True)
    batches = packed_batches(tokens, budget, items=unique)
    vectors = torch.cat([model.embed(batch) for batch in batches])
    order = np.argsort(np.concatenate([batch.items for batch in batches]))
    return vectors[torch.from_numpy(order[place]).to(vectors.device)]
