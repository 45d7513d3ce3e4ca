"""One step of training: the gradients that a batch gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nearfield.batch.packed import Packed
from nearfield.errors import ModelError
from nearfield.models.surgery.layers import first_layers
from nearfield.models.trainable import Trainable
from nearfield.train.data.batch import Batch
from nearfield.train.engine.gradient_cache import cached_backward, tensors_of
from nearfield.train.engine.group import ALONE, Group
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Objective
from nearfield.train.recipe import Schedule


def training_step(
    model: Trainable,
    batch: Batch,
    objective: Objective,
    weights: Sequence[Tensor],
    *,
    schedule: Schedule,
    group: Group = ALONE,
    learned: Mapping[str, Tensor] | None = None,
    depth: int = 0,
) -> float:
    """Embed the batch, compute its loss and go back; gradients are left in `weights`, clipped.
    Returns the loss. `learned`: see Examples, whose `shallow` are by `depth` layers unless that is
    0.

    Raises ModelError when the loss or a gradient is not a finite number.
    """
    beside = dict(learned or {})
    if group.rank:
        # each process sees the whole loss, so that one of them has the whole gradient
        beside = {name: weight.detach() for name, weight in beside.items()}

    def embed(part: Packed) -> Any:
        whole = model.embed(part)
        if not depth:
            return whole
        with first_layers(model, depth):
            return (*tensors_of(whole), *tensors_of(model.embed(part)))

    def examples(outputs: Sequence[Any]) -> Examples:
        return replace(batch.examples(model, outputs), learned=beside)

    def loss(outputs: Sequence[Any]) -> Tensor:
        shown = examples(halves(outputs, 0) if depth else outputs)
        if depth:
            shown = replace(shown, shallow=examples(halves(outputs, 1)))
        found = objective(shown)
        seen.append(shown)
        return found

    seen: list[Examples] = []
    held = held_parts(batch, schedule.graph_tokens, group)
    value = cached_backward(embed, batch.parts, loss, held=held, group=group)
    objective.remember(seen[0])  # what the loss has seen, once, whole
    group.add(weights)  # before they are clipped: the norm is that of the whole gradient
    norm = torch.nn.utils.clip_grad_norm_(weights, schedule.clip, foreach=True)
    if not torch.isfinite(norm):
        raise ModelError(
            "a gradient became infinite or NaN; lower schedule.rate or use precision = 'float32'"
        )
    return value


def halves(outputs: Sequence[tuple[Tensor, ...]], second: int) -> list[Any]:
    """The first or the second half of each output, as a model gives it: alone where it is one."""
    parts = []
    for output in outputs:
        size = len(output) // 2
        part = output[second * size : (second + 1) * size]
        parts.append(part if size > 1 else part[0])
    return parts


def held_parts(batch: Batch, graph_tokens: int, group: Group = ALONE) -> int:
    """How many of this process's mini-batches keep their graph: the first ones, up to
    `graph_tokens` tokens; one at least.
    """
    sizes = [len(part.ids) for part in batch.parts[group.rank :: group.size]]
    return max(1, int(np.searchsorted(np.cumsum(sizes), graph_tokens, side="right")))
