"""A tune in several stages, each of which begins with the weights that the one before left."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from nearfield.data.collection import Collection
from nearfield.models.model import TextModel
from nearfield.store.run import RunFolder
from nearfield.train.data.sources import Source
from nearfield.train.fields import need
from nearfield.train.pretraining import PRETRAINING
from nearfield.train.recipe import (
    DataSet,
    Lora,
    Recipe,
    refuse_beyond_texts,
    refuse_what_the_kind_lacks,
)
from nearfield.train.runs.candidate import Candidate
from nearfield.train.runs.model_run import Do
from nearfield.train.runs.outlook import expected_work
from nearfield.train.runs.pretrain import pretrain
from nearfield.train.runs.run import locked_run
from nearfield.train.setting import Setting
from nearfield.train.tuning.tuning_run import TuningRun
from nearfield.types.progress import Progress, silent

PLACE = "stages"


class StagedRun(TuningRun):
    """A run through the stages of its recipe, which merges the last one's weights with the first
    model's, and compares these two.

    Each stage is a run in a folder of its own and leaves a model there. A stage on pairs chooses by
    dev and the guards how much of it is kept. The guards' margins are measured from the first
    model, so that all stages together lose no more than one may.
    """

    beyond = ()

    def __init__(self, model: str, folder: RunFolder, recipe: Recipe, setting: Setting) -> None:
        for at, stage in enumerate(recipe.stages):
            wanted = "false: a stage leaves one model for all roles"
            need(not stage.lora.per_role, f"stages[{at}].lora.per_role", "true", wanted)
        # the stages have their own of what the recipe around them says; the merge is of all weights
        whole = replace(
            recipe,
            lora=Lora(),
            schedule=replace(recipe.schedule, freeze_embeddings=False),
            objective=replace(recipe.objective, dims=recipe.stages[-1].objective.dims),
        )
        super().__init__(model, folder, whole, setting)
        self.foldable = False

    def begin(self, collection: Collection, guards: Sequence[str] | None = None) -> None:
        for stage in self.recipe.stages:
            name = stage.objective.name
            if name in PRETRAINING:
                refuse_beyond_texts(
                    PRETRAINING[name].recipe(by_its_own(stage)), self.trained.contract
                )
            else:
                refuse_what_the_kind_lacks(stage, self.trained.contract)
        super().begin(collection, guards)

    def data_sets(self) -> Sequence[DataSet]:
        sets: list[DataSet] = []
        for stage in self.recipe.stages:
            sets += sets_of(stage)
        return sets

    def open_sources(self) -> Sequence[Source]:
        self.by_stage: list[list[Source]] = []
        for stage in self.recipe.stages:
            opened = [Source.open(each, stage, self.collection) for each in sets_of(stage)]
            self.by_stage.append(opened)
        return list(chain.from_iterable(self.by_stage))

    def training(self) -> dict[str, Do]:
        count = len(self.recipe.stages)
        steps: dict[str, Do] = {}
        for number in range(1, count + 1):
            steps[f"stage {number} of {count}"] = partial(self.go_through_stage, number)
        steps["read the last stage"] = self.read_last
        return steps

    def go_through_stage(self, number: int, progress: Progress) -> None:
        """Make what a stage leaves, or go on with it."""
        stage = self.recipe.stages[number - 1]
        place = self.place(number)
        if (place / "model").exists():
            return
        start = self.model
        if number > 1:
            start = str(self.place(number - 1) / "model")
        if stage.objective.name in PRETRAINING:
            pretrain(
                start,
                self.given,
                objective=stage.objective.name,
                to=place,
                recipe=by_its_own(stage),
                guards=(),
                setting=replace(self.setting, watch=lambda title: nullcontext(progress)),
            )
        else:
            with locked_run(place) as folder:
                StageRun(start, folder, stage, self, self.by_stage[number - 1]).make(progress)
        # nothing goes on from them once the model is there
        shutil.rmtree(place / "checkpoints", ignore_errors=True)

    def read_last(self, progress: Progress) -> None:
        """Read the weights that the last stage left."""
        path = self.place(len(self.recipe.stages)) / "model"
        last = TextModel.open(path, precision=self.precision, device=self.device).parameters()
        self.tuned = {name: last[name].detach() for name in self.weights}

    def place(self, number: int) -> Path:
        """The folder of a stage."""
        return self.folder.path / PLACE / str(number)

    def known_dev(self) -> dict[float, float]:
        return {0.0: self.folder.read("baseline.json")["dev"]}

    def shares(self) -> Sequence[float]:
        return self.recipe.merge.ratios

    def work(self) -> Mapping[str, float]:
        stages = zip(self.recipe.stages, self.by_stage, strict=True)
        work = dict(super().work())
        for number, (stage, sources) in enumerate(stages, 1):
            # a pre-training objective has no pairs, and learns from each document
            pairs = sum(map(len, sources)) or len(self.given.documents)
            parts = expected_work(
                stage, self.collection, max_tokens=self.max_tokens, guards=0, pairs=pairs
            )
            del parts["test"]  # the whole run's alone
            work[f"stage {number} of {len(self.by_stage)}"] = sum(parts.values())
        return work


class StageRun(TuningRun):
    """A stage on `sources` from the model at `model`, as far as the model that it leaves; what
    measures it is that of the `whole` run.
    """

    def __init__(
        self,
        model: str,
        folder: RunFolder,
        recipe: Recipe,
        whole: StagedRun,
        sources: Sequence[Source],
    ) -> None:
        super().__init__(model, folder, recipe, whole.setting)
        self.whole = whole
        self.foldable = False
        self.opened = sources

    def take(self, collection: Collection, *, leaks: bool = True) -> None:
        self.given = self.whole.given
        self.collection = self.whole.collection
        self.notes = ()

    def open_sources(self) -> Sequence[Source]:
        return self.opened

    def guards_before(
        self, base: Candidate, progress: Progress, *, reported: Candidate | None = None
    ) -> dict[str, dict[str, float]]:
        """What the first model of all reaches."""
        first = self.whole.folder.read("baseline.json")
        return {name: first[name] for name in ("guards", "reported")}

    def make(self, progress: Progress) -> None:
        """Train, merge and save."""
        self.begin(self.whole.given, ())
        self.guards = self.whole.guards
        before = (self.encode_documents, self.measure_baseline)
        for do in (*before, *self.training().values(), self.merge, self.save):
            # one figure of progress for the stage: its steps, which take nearly all of its time
            do(progress if do == self.train else silent)


def sets_of(stage: Recipe) -> Sequence[DataSet]:
    """The data sets of a stage: none where it learns from texts alone."""
    if stage.objective.name in PRETRAINING:
        return ()
    return stage.data.sets or (DataSet(),)


def by_its_own(stage: Recipe) -> Recipe:
    """The stage with the objective that its pre-training gives it."""
    return replace(stage, objective=replace(stage.objective, name=""))
