"""One step of training: the gradients that a batch gives."""

from __future__ import annotations

from collections.abc import Sequence

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
) -> float:
    """Embed the batch, compute its loss and go back; gradients are left in `weights`, clipped.
    Returns the loss.

    Raises ModelError when the loss or a gradient is not a finite number.
    """
    value = cached_backward(
        model.embed,
        batch.parts,
        lambda outputs: objective(batch.examples(model, outputs)),
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
