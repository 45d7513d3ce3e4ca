"""The loop that trains a small map of vectors, and keeps its weights of the best epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nearfield.models.vector_map import VectorMap
from nearfield.train.engine.watcher import Watcher
from nearfield.train.fits.blend import put_weights
from nearfield.types.progress import Progress

Batches = Callable[[int], Iterable[tuple[Tensor, int, int]]]
"""Of an epoch: each batch's loss, by the weights as they stand, its rows and its negatives."""


@dataclass(frozen=True)
class MapSchedule:
    """How many epochs, and at what rate, which falls linearly to 0. `decay` pulls the weights
    towards where they began each step, relative to the rate (decoupled).
    """

    epochs: int
    rate: float
    decay: float = 0.0


def fit_map(
    trained: VectorMap,
    batches: Batches,
    schedule: MapSchedule,
    *,
    watcher: Watcher,
    measure: Callable[[], float] | None,
    progress: Progress,
    sample: Tensor | None = None,
) -> None:
    """Train in place by Adam, and leave the weights of the epoch at which `measure` was highest,
    those of before training among them; the last ones without it.

    `sample` are vectors whose images `watcher` looks at now and then.
    """
    start = kept = _copy(trained)
    epochs = schedule.epochs
    optimiser = torch.optim.Adam(trained.parameters(), lr=schedule.rate)
    best = measure() if measure else -np.inf
    step = 0
    for epoch in range(epochs):
        now = schedule.rate * (1 - epoch / epochs)
        optimiser.param_groups[0]["lr"] = now
        total = 0.0
        seen = 0
        for loss, rows, negatives in batches(epoch):
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            step += 1
            still = not any(
                weight.grad is not None and bool(weight.grad.any())
                for weight in trained.parameters()
            )
            lost = float(loss.detach())
            watcher.saw(step, loss=lost, negatives=negatives, still=still)
            with torch.no_grad():
                if sample is not None and watcher.looks(step):
                    watcher.saw_vectors(step, trained(sample))
                if schedule.decay:
                    _pull(trained, start, now * schedule.decay)
            total += lost * rows
            seen += rows
        said = f"loss {total / seen:.3f}"
        if measure:
            value = measure()
            if value > best:
                best = value
                kept = _copy(trained)
            said += f"  best {best:.3f}"
        progress(epoch + 1, epochs, said)
    if measure:
        trained.load_state_dict(kept)


def _pull(trained: VectorMap, start: Mapping[str, Tensor], share: float) -> None:
    """Move the weights by this share of the way back to where they began."""
    for name, weight in trained.named_parameters():
        if name != "down":  # its product with `up` is what is pulled to zero
            weight.lerp_(start[name], share)


def toward(start: VectorMap, fitted: VectorMap, share: float) -> VectorMap:
    """`fitted` with its weights moved to `share` of the way from those of `start`; what `start`
    lacks of a hidden layer is 0 in it.
    """
    moved = VectorMap(fitted.config)
    state = fitted.state_dict()
    # they feed `up`, which is 0 where there is no hidden layer yet
    kept = {name: state[name] for name in ("down", "shift") if name in state}
    base = moved.state_dict() | start.state_dict() | kept
    copied = {name: weight.clone() for name, weight in base.items()}
    put_weights(moved.state_dict(), copied, state, share)
    return moved


def _copy(trained: VectorMap) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in trained.state_dict().items()}
