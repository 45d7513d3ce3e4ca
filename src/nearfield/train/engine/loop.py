"""The training loop: steps, dev measurements, early stopping, and a state that a killed run goes on
from.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
from torch import Tensor

from nearfield.errors import InputError
from nearfield.models.model import TextModel
from nearfield.models.trainable import Trainable
from nearfield.store.fingerprint import model_hash
from nearfield.store.run import RunFolder
from nearfield.train.data.ahead import ahead
from nearfield.train.data.batch import Asked, Batch, Material
from nearfield.train.engine.checkpoint import (
    Checkpoint,
    Floats,
    kept_weights,
    load_checkpoint,
    save_checkpoint,
)
from nearfield.train.engine.group import ALONE, Group
from nearfield.train.engine.lora import add_lora
from nearfield.train.engine.schedule import batches_from, measured_steps, total_steps
from nearfield.train.engine.trainer import LEARNED, Trainer, few_torch_threads, mini_tokens
from nearfield.train.engine.watcher import Watcher, learned_from, look
from nearfield.train.objectives.compose import objective_of
from nearfield.train.recipe import Recipe
from nearfield.types.progress import Progress


def train(
    model: Trainable,
    data: Material,
    recipe: Recipe,
    *,
    run: RunFolder,
    measure: Callable[[], Floats] | None,
    progress: Progress,
    before: Floats | None = None,
    group: Group = ALONE,
) -> dict[str, Tensor]:
    """Train `model` in place and return the weights that are kept, by parameter name (trained
    parameters only).

    `measure()` gives dev's values, one per query, for the model as it stands, and `before` holds
    them for the model as it is given, where they are known; see `Checkpoint` for what is kept.
    Without `measure` the last weights are kept. A checkpoint is written after each measurement, or
    where it would be; when one is there already, training goes on from it to the same result.
    Process 0 of a group calls this, and the others `follow`.
    """
    steps = total_steps(data.pairs, recipe)
    patience = recipe.schedule.patience
    marks = measured_steps(steps, recipe.schedule.evaluations)
    trainer = Trainer(model, recipe, steps, group, guide=data.guide_dim)
    watcher = Watcher(steps, learned_from(len(data.pairs), len(np.unique(data.pairs.positive))))
    state = _begin(trainer, run, measure, before)
    lead(trainer, made=state.step, guide=data.guide_dim)
    progress(state.step, steps)
    # closed, as the thread that prepares steps would outlive an error
    with (
        _released(model),
        closing(prepared_steps(data, recipe, model, after=state.step, group=group)) as prepared,
    ):
        while state.step < steps and state.stale < patience:
            state = dataclasses.replace(state, step=state.step + 1)
            row = _step(trainer, watcher, state.step, prepared)
            run.log_training(row)
            if state.step in marks:
                state = _measured(state, measure, run, recipe)
                save_checkpoint(run, state, trainer.trained, trainer.optimiser)
            best = None if measure is None else float(state.peak.mean())
            progress(state.step, steps, _said(row, best))
    group.agree(None)  # the others take it for the end of this run's steps
    kept = kept_weights(run, state.kept_step)
    return {name: weight for name, weight in kept.items() if not name.startswith(LEARNED)}


def lead(trainer: Trainer, *, made: int, guide: int = 0) -> None:
    """Have the other processes of the trainer's group train along from step `made` on; each step is
    then sent to them.
    """
    group = trainer.group
    if group.size == 1:
        return
    model = trainer.model
    folder = model.folder.path
    order = {
        "model": str(folder.resolve()),
        "files": model_hash(folder),
        "precision": model.precision,
        "recipe": dataclasses.asdict(trainer.recipe),
        "steps": trainer.steps,
        "made": made,
        "guide": guide,
    }
    group.agree(order)
    trainer.share()


def _step(
    trainer: Trainer, watcher: Watcher, number: int, prepared: Iterator[Batch]
) -> dict[str, Any]:
    """Make step `number` on the next batch; what the log has of it."""
    # with the wait for the batch: data that is prepared too slowly shows in the speed
    started = time.perf_counter()
    batch = trainer.group.agree(next(prepared))
    loss = trainer.step(number, batch)
    watcher.saw(number, loss=loss, negatives=batch.negatives, still=trainer.still)
    if watcher.looks(number):
        look(watcher, number, trainer.model, batch.parts[0])
    speed = len(batch) / (time.perf_counter() - started)
    return {
        "step": number,
        "steps": trainer.steps,
        "loss": loss,
        "rate": trainer.rate,
        "pairs_per_second": round(speed, 2),
        "tokens": batch.tokens,
        "embedded_twice": trainer.twice(batch),
    }


def _said(row: Mapping[str, Any], best: float | None) -> str:
    """A step's row in words; `best`: dev's mean, where it is measured."""
    said = f"loss {row['loss']:.3f}  {row['pairs_per_second']:.1f} pairs/s"
    if best is not None:
        said += f"  best dev {best:.3f}"
    if row["embedded_twice"]:
        share = row["embedded_twice"] / row["tokens"]
        said += f"  {share:.0%} embedded twice (gradient cache)"
    return said


@contextmanager
def _released(model: Trainable) -> Iterator[None]:
    """Whatever ends the block, what ran the model's layers in training is let go of, with its
    memory.
    """
    try:
        with few_torch_threads(model):
            yield
    finally:
        model.layers = None


_NOTHING: Batch | None = None  # what a process that follows has to say
_NO_ORDER: dict[str, Any] | None = None


def follow(group: Group) -> None:
    """Train along with process 0 of `group`, in each run that it begins, until it says None where a
    run would begin.

    Raises InputError where the model that it trains is not the same here.
    """
    while (order := group.agree(_NO_ORDER)) is not None:
        model = TextModel.open(order["model"], precision=order["precision"], device=group.device)
        # on another machine the same path may hold another model
        if model_hash(model.folder.path) != order["files"]:
            raise InputError(
                "holds another model than it does for the process that leads the training",
                path=model.folder.path,
            )
        recipe = Recipe.of(order["recipe"])
        add_lora(model, recipe)
        trainer = Trainer(model, recipe, order["steps"], group, guide=order["guide"])
        trainer.share()  # process 0 may have gone on from a checkpoint
        number = order["made"]
        with _released(model):
            while (step := group.agree(_NOTHING)) is not None:
                number += 1
                trainer.step(number, step)


def needed(data: Material, recipe: Recipe, model: Trainable) -> frozenset[str]:
    """The columns that the recipe's objective needs. Raises InputError where the data lacks one."""
    needs = objective_of(recipe, model.objective, model.contract).needs
    missing = sorted(needs - data.gives)
    if missing:
        raise InputError(
            f"objective {recipe.objective.name} needs {', '.join(missing)} for each pair, and what "
            "is learned from has none; name another objective, or give pairs that have it"
        )
    return needs


def prepared_steps(
    data: Material, recipe: Recipe, model: Trainable, *, after: int, group: Group = ALONE
) -> Generator[Batch]:
    """The steps after the first `after`, each prepared on another thread while the one before is at
    work.
    """
    asked = Asked(needed(data, recipe, model), group.size, mini_tokens(model, recipe))
    batches = batches_from(after, total_steps(data.pairs, recipe), data.pairs, recipe)
    return ahead(data.prepare(batch, model, asked) for batch in batches)


def _measured(
    state: Checkpoint, measure: Callable[[], Floats] | None, run: RunFolder, recipe: Recipe
) -> Checkpoint:
    """The state after dev was measured; where it is not, the weights of this step are kept."""
    if measure is None:
        return dataclasses.replace(state, kept_step=state.step)
    dev = measure()
    run.log_training({"step": state.step, "dev": float(dev.mean()), "measure": recipe.measure})
    return state.measured(dev)


def _begin(
    trainer: Trainer,
    run: RunFolder,
    measure: Callable[[], Floats] | None,
    before: Floats | None,
) -> Checkpoint:
    """The state of the run's last checkpoint, put into the trainer; or that of a run that begins
    here.
    """
    state = load_checkpoint(run, trainer.trained, trainer.optimiser)
    if state is not None:
        run.cut_training(state.step)  # the steps after it are made, and written, again
        return state
    row: dict[str, Any] = {"step": 0}
    peak = np.zeros(1)
    if measure is not None:
        peak = measure() if before is None else before
        row |= {"dev": float(peak.mean()), "measure": trainer.recipe.measure}
    run.restart_training(row)
    state = Checkpoint(step=0, peak=peak, kept_step=0)
    save_checkpoint(run, state, trainer.trained, trainer.optimiser)
    return state
