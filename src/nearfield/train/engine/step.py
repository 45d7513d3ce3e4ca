"""One step of training: the gradients that a batch gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nearfield.errors import ModelError
from nearfield.models.trainable import Trainable
from nearfield.train.data.batch import Batch
from nearfield.train.engine.gradient_cache import cached_backward
from nearfield.train.engine.group import ALONE, Group
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
) -> float:
    """Embed the batch, compute its loss and go back; gradients are left in `weights`, clipped.
    Returns the loss. `learned`: see Examples.

    Raises ModelError when the loss or a gradient is not a finite number.
    """
    beside = dict(learned or {})
    if group.rank:
        # each process sees the whole loss, so that one of them has the whole gradient
        beside = {name: weight.detach() for name, weight in beside.items()}

    def loss(outputs: Sequence[Any]) -> Tensor:
        return objective(replace(batch.examples(model, outputs), learned=beside))

    value = cached_backward(
        model.embed,
        batch.parts,
        loss,
        held=held_parts(batch, schedule.graph_tokens, group),
        group=group,
    )
    group.add(weights)
    norm = torch.nn.utils.clip_grad_norm_(weights, schedule.clip, foreach=True)
    if not torch.isfinite(norm):
        raise ModelError(
            "a gradient became infinite or NaN; lower schedule.rate or use precision = 'float32'"
        )
    return value


def held_parts(batch: Batch, graph_tokens: int, group: Group = ALONE) -> int:
    """How many of this process's mini-batches keep their graph: the first ones, up to
    `graph_tokens` tokens; one at least.
    """
    sizes = [len(part.ids) for part in batch.parts[group.rank :: group.size]]
    return max(1, int(np.searchsorted(np.cumsum(sizes), graph_tokens, side="right")))
