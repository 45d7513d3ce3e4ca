"""Settings that are searched on dev, and the logs that a run tells of its steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nearfield.data.collection import Collection
from nearfield.errors import InputError, MissingExtra
from nearfield.store.run import RunFolder
from nearfield.train.logs import LOGS, logged
from nearfield.train.recipe import Recipe
from nearfield.train.runs import trials
from nearfield.train.runs.trials import Pruned, Trial, best_recipe
from nearfield.types.progress import no_rows

SCHEDULE = {"epochs": 1.0, "batch": 8, "rate": 1e-3, "evaluations": 3, "precision": "float32"}
RECIPE = Recipe.of({"seed": 3, "schedule": SCHEDULE, "merge": {"ratios": [1.0]}})
COUNT = 6


class Stopped(Exception):
    """In place of kill -9."""


def test_a_search_resumes_and_never_sees_the_test_split(
    tiny: Path, collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(to: str) -> Recipe:
        return best_recipe(str(tiny), collection, RECIPE, to=tmp_path / to, trials=COUNT)

    made = search("whole")
    places = sorted((tmp_path / "whole" / "checkpoints" / "trials").iterdir())
    assert len(places) == COUNT
    assert not any(
        (place / part).exists() for place in places for part in ("comparison.json", "model")
    )
    kept = {
        place.name: max(
            row["dev"] for row in json.loads((place / "merge.json").read_text()) if row["chosen"]
        )
        for place in places
        if (place / "merge.json").exists()
    }
    best = places[int(max(kept, key=lambda name: kept[name]))]
    assert json.loads((best / "recipe.json").read_text())["schedule"]["rate"] == made.schedule.rate
    assert json.loads((places[0] / "recipe.json").read_text())["schedule"]["rate"] == 1e-3
    true = Trial.dev
    calls = []

    def stopped(self: Trial, *given: Any) -> Any:
        calls.append(given)
        if len(calls) == 4:
            raise Stopped
        return true(self, *given)

    with monkeypatch.context() as patched:
        patched.setattr(Trial, "dev", stopped)
        with pytest.raises(Stopped):
            search("killed")
    assert search("killed") == made


def test_a_search_begins_in_a_folder_of_its_own(
    tiny: Path, collection: Collection, tmp_path: Path
) -> None:
    def refused(to: Path, message: str) -> None:
        before = sorted(to.rglob("*"))
        with pytest.raises(InputError, match=message):
            best_recipe(str(tiny), collection, RECIPE, to=to, trials=2)
        assert sorted(to.rglob("*")) == before

    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    refused(tmp_path / "full", "holds other files and no run")
    refused(tiny / "runs", "lies within the model's folder")


def test_a_bad_trial_is_stopped_early(
    tiny: Path, collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        trials, "_reporting", lambda trial, folder: refuse if trial.number else no_rows
    )
    best = best_recipe(str(tiny), collection, RECIPE, to=tmp_path, trials=2)
    assert best == RECIPE
    place = tmp_path / "checkpoints" / "trials" / "001"
    assert (place / "pruned.json").exists()
    assert not (place / "merge.json").exists()


def refuse(row: dict[str, Any]) -> None:
    """Stop a trial at its first measurement."""
    if "dev" in row:
        raise Pruned


def test_what_an_interrupted_trial_has_measured_is_told_once(tmp_path: Path) -> None:
    import optuna

    for resumed in (False, True):
        study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(1))
        first, second = study.ask(), study.ask()
        folders = [RunFolder(tmp_path / str(trial.number)) for trial in (first, second)]
        for trial, folder in zip((first, second), folders, strict=True):
            if not resumed:
                folder.write("environment.json", {})
                folder.restart_training({"step": 0, "dev": 0.9})
            folder.told = trials._reporting(trial, folder)
        if not resumed:
            folders[0].log_training({"step": 5, "loss": 1.0})
            folders[0].log_training({"step": 10, "dev": 0.5})
        study.tell(first, 0.5)
        # its last row was written when it was killed, and is written again
        with pytest.raises(Pruned):
            folders[1].log_training({"step": 7, "dev": 0.4})
        assert [trial.intermediate_values for trial in study.trials] == [{0: 0.5}, {0: 0.4}]


@pytest.mark.filterwarnings("ignore")  # what these packages say of those below them
@pytest.mark.parametrize("name", list(LOGS))
def test_a_log_holds_the_rows(name: str, tmp_path: Path) -> None:
    rows = [{"step": 0, "dev": 0.5}, {"step": 1, "loss": 2.5, "measure": "nDCG@10"}]
    try:
        with logged(name, tmp_path) as told:
            assert not any(tmp_path.iterdir())
            for row in rows:
                told(row)
    except MissingExtra as missing:
        pytest.skip(str(missing))
    if name == "tensorboard":
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        read = EventAccumulator(str(tmp_path / "tensorboard"))
        read.Reload()
        assert [(each.step, each.value) for each in read.Scalars("loss")] == [(1, 2.5)]
    elif name == "mlflow":
        import mlflow

        client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
        (kept,) = client.search_experiments(filter_string="name = 'nearfield'")
        (run,) = client.search_runs([kept.experiment_id])
        assert run.data.metrics == {"dev": 0.5, "loss": 2.5}
    else:
        assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))


def test_an_unknown_log_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"tensorbord.*tensorboard"),
        logged("tensorbord", tmp_path),
    ):
        pass
