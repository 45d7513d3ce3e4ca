"""The settings of a tune, searched on dev; no trial sees the test split."""

from __future__ import annotations

import shutil
from collections.abc import Collection as Names
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nearfield.data.collection import Collection
from nearfield.errors import NearfieldError
from nearfield.extras import require
from nearfield.store.run import RunFolder, refuse_foreign
from nearfield.train.fields import MOST_RATE
from nearfield.train.recipe import MOST_TEMPERATURE, Recipe
from nearfield.train.runs.run import data_of, locked_run
from nearfield.train.setting import UNWATCHED, Setting
from nearfield.train.tuning.tuning_run import TuningRun, learning_from
from nearfield.types.progress import Progress, Rows

VARIED = {"rate": (0.2, 5.0), "epochs": (0.5, 2.0), "temperature": (0.4, 2.5)}
"""What the recipe's values are multiplied by, drawn evenly on a logarithmic scale."""
BATCHES = (0.5, 1.0, 2.0)  # times the recipe's
ALONE = 4  # trials before any is stopped early


class Pruned(NearfieldError):
    """A trial is stopped early, as dev is below the median of those before it."""


def varied(recipe: Recipe, by: Mapping[str, float]) -> Recipe:
    """The recipe with its values multiplied."""
    schedule = recipe.schedule
    temperature = recipe.objective.temperature * by["temperature"]
    return replace(
        recipe,
        schedule=replace(
            schedule,
            rate=min(MOST_RATE, schedule.rate * by["rate"]),
            table_rate=min(MOST_RATE, schedule.table_rate * by["rate"]),
            epochs=schedule.epochs * by["epochs"],
            batch=max(2, round(schedule.batch * by["batch"])),
        ),
        objective=replace(recipe.objective, temperature=min(MOST_TEMPERATURE, temperature)),
    )


def best_recipe(
    model: str,
    data: object,
    recipe: Recipe,
    *,
    to: str | Path,
    trials: int,
    allow: Names[str] = (),
    pairs: str = "",
    setting: Setting = UNWATCHED,
) -> Recipe:
    """The recipe whose tuned model dev likes best, of `recipe` and variations of it, `trials` in
    all (see VARIED).

    The first trial is the recipe itself; the next are drawn by Optuna's TPE sampler, and one whose
    dev is below the median of those before it is stopped. `to` is the run folder, in which the
    tune then runs; a search that was interrupted goes on where it was. The other arguments are
    those of `tune`. Raises MissingExtra without Optuna.
    """
    optuna = require("optuna", extra="search")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    searched = Path(to) / "checkpoints" / "trials"
    refuse_foreign(Path(to))
    collection = data_of(data)
    setting.refuse_group("each trial")
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=recipe.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=ALONE),
    )
    study.enqueue_trial(dict.fromkeys((*VARIED, "batch"), 1.0))
    states = optuna.trial.TrialState
    recipes: list[Recipe] = []
    # an interrupted search asks for all trials again: the sampler is seeded, and what is in a
    # trial's folder tells Optuna the same values as before, so that the same ones come next
    for number in range(trials):
        trial = study.ask()
        by = {name: trial.suggest_float(name, *ends, log=True) for name, ends in VARIED.items()}
        by["batch"] = trial.suggest_categorical("batch", BATCHES)
        recipes.append(varied(recipe, by))
        with locked_run(searched / f"{number:03d}", model) as folder:
            reporting = replace(setting, rows=_reporting(trial, folder))
            with setting.watch(f"trial {number + 1} of {trials}") as progress:
                made = Trial(model, folder, learning_from(pairs, recipes[-1]), reporting)
                # the data is the same for all: the doctor looks at it once
                value = made.dev(collection, allow if number == 0 else None, progress)
        study.tell(trial, value, state=states.PRUNED if value is None else states.COMPLETE)
    return recipes[int(study.best_trial.number)]


def _reporting(trial: Any, folder: RunFolder) -> Rows:
    """What takes the rows of a trial's training and tells Optuna each value of dev, by how many
    there were before it; those that an interrupted run has written are told at once.

    It raises Pruned where the trial is to be stopped.
    """
    told: set[int] = set()

    def rows(row: Mapping[str, Any], *, stops: bool = True) -> None:
        step = row["step"]
        if "dev" not in row or not step:  # or the base model's
            return
        # by its number and not by its step: trials of other batch sizes are compared with it
        if step not in told:
            trial.report(row["dev"], len(told))
            told.add(step)
        if stops and trial.should_prune():
            raise Pruned

    for row in folder.training():
        rows(row, stops=False)
    return rows


class Trial(TuningRun):
    """A tune as far as dev goes."""

    def dev(
        self, collection: Collection, allow: Names[str] | None, progress: Progress
    ) -> float | None:
        """dev's mean at the share of tuned weights that it likes best; None where the trial was
        stopped early. With `allow`, the doctor looks at the data first.
        """
        folder = self.folder
        self.begin(collection, ())
        if not folder.has("merge.json") and not folder.has("pruned.json"):
            if allow is not None:
                self.examination(allow).do(progress)
            before = (self.encode_documents, self.measure_baseline)
            try:
                for do in (*before, *self.training().values(), self.merge):
                    do(progress)
            except Pruned:
                folder.write("pruned.json", {})
            # the weights of many trials would fill a disk, and only what dev says of them counts
            shutil.rmtree(folder.path / "checkpoints")
        if folder.has("pruned.json"):
            return None
        return self.taken.dev
