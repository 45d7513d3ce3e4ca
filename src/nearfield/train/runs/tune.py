"""Tune an embedding model: from data to a better model and its verdict."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nearfield.data.collection import Collection, Split
from nearfield.data.kept_split import with_all_splits, with_enough_dev, with_judged_splits
from nearfield.data.open import open_pairs
from nearfield.data.trained_on import keep_trained_on
from nearfield.encoders.load import load
from nearfield.encoders.model_facts import model_facts
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError
from nearfield.formats.model_folder import read_model_folder
from nearfield.formats.towers.find import image_layout
from nearfield.models.find import model_path
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.runtimes.torch_runtime import TorchRuntime
from nearfield.store.run import RunFolder
from nearfield.train.data.guide import Guide
from nearfield.train.data.prepare import training_data
from nearfield.train.data.streamed import StreamedPairs
from nearfield.train.data.teacher import open_teacher, teacher_scores
from nearfield.train.data.training_data import TrainingData
from nearfield.train.engine.environment import model_hash
from nearfield.train.engine.lora import add_lora, known_as
from nearfield.train.recipe import Recipe, default_recipe, refuse_what_the_kind_lacks
from nearfield.train.runs.conclude import Measured
from nearfield.train.runs.cross_validate import PLACE, dev_by_folds, folded_note, held_out
from nearfield.train.runs.encoder_run import EncoderRun
from nearfield.train.runs.fusion import Fusion, fit_fusion
from nearfield.train.runs.guard import guard_values
from nearfield.train.runs.joined import DEFAULT as JOINED
from nearfield.train.runs.joined import JoinedRun, refuse
from nearfield.train.runs.merge import keeps
from nearfield.train.runs.model_run import Do
from nearfield.train.runs.run import Stage, data_of, locked_run, told
from nearfield.train.setting import UNWATCHED, Setting
from nearfield.types.progress import Progress
from nearfield.types.verdict import Verdict


def tune(
    model: str,
    data: object,
    *,
    to: str | Path,
    recipe: Recipe | None = None,
    guards: Sequence[str] | None = None,
    allow: Names[str] = (),
    pairs: str = "",
    setting: Setting = UNWATCHED,
) -> Verdict:
    """Tune `model` on `data`, which `open_collection` takes, and say whether that made it better on
    the test split, which nothing before the end has seen.

    Without a `recipe` it is the default one of the model's kind. `to` is the run folder: a run that
    was interrupted goes on where it was, to the same result; a finished one is read. `guards` are
    collections or scored pairs (paths or embedded names) that the tuned model must not lose more
    than the recipe's margin on: pydoc-topics, which every machine has, where None, and () for none.
    `allow` names doctor's errors to go on with, and "trained-on" for a model that was trained on
    queries that this run measures. `pairs` are what `open_pairs` takes, of any size, and are
    learned from instead of the collection's train split, with their own negatives and none mined
    (see `StreamedPairs`). A model that `nearfield models join` wrote learns from a collection of
    images whose queries are captions. `setting` says who watches. Raises DoctorRefusal,
    RecipeError, CollectionError, ModelError, and InputError when the folder holds another run.
    """
    if Path(model).is_dir() and Path(to).resolve().is_relative_to(Path(model).resolve()):
        raise InputError(
            "lies within the model's folder; give a run folder elsewhere with --to", path=to
        )
    joined = image_layout(Path(model)) is not None
    if joined and pairs:
        raise InputError("pairs are texts; a model of images and text learns from the images")
    if joined:
        refuse(recipe or JOINED, setting)
    collection, setting = data_of(data), told(setting, data)
    recipe = recipe or tuning_recipe(model)
    with locked_run(to) as folder:
        run: JoinedRun | TuningRun
        if joined:
            run = JoinedRun(model, folder, recipe, setting)
        else:
            run = TuningRun(model, folder, recipe, setting, pairs=pairs)
        run.begin(collection, guards)
        return run.verdict(f"tune {run.encoder.contract.name}", allow)


def tuning_recipe(model: str, path: Path | None = None) -> Recipe:
    """The model's default recipe, or what a TOML file makes of it. Raises as Recipe.open does."""
    if image_layout(Path(model)) is not None:
        start = JOINED
    else:
        start = default_recipe(read_model_folder(model_path(model)).contract.kind)
    return start if path is None else Recipe.open(path, start=start)


class TuningRun(EncoderRun):
    """A tuning run of `model`, on the train split or on `pairs`."""

    def __init__(
        self,
        model: str,
        folder: RunFolder,
        recipe: Recipe,
        setting: Setting,
        *,
        pairs: str = "",
    ) -> None:
        super().__init__(folder, setting, recipe)
        self.model, self.source = model, pairs
        self.streamed: StreamedPairs | None = None
        self.trained: TextModel = TextModel.open(
            model_path(model), precision=self.precision, device=self.device
        )
        # whose fusion dev chooses, too
        self.foldable = not pairs and self.trained.head.weights is None

    def begin(self, collection: Collection, guards: Sequence[str] | None = None) -> None:
        """Open what is learned from and what measures it, and write what decides the result."""
        recipe = self.recipe
        self.take(collection, leaks=not self.source)
        self.held_out = held_out(self.collection, seed=recipe.seed) if self.foldable else []
        self.folds = len(self.held_out)
        if self.held_out:
            self.notes = (*self.notes, folded_note(self.collection, self.held_out))
        if self.source:
            self.streamed = StreamedPairs.of(
                open_pairs(self.source), self.collection, negatives=recipe.negatives.per_query
            )
            self.streamed.check(recipe)
            self.notes = (*self.notes, self.streamed.note)
            self.pairs = len(self.streamed.training)
        add_lora(self.trained, recipe)
        self.measured_with(TextEncoder(self.trained.folder, TorchRuntime(self.trained)))
        contract = self.encoder.contract
        refuse_what_the_kind_lacks(recipe, contract)
        self.max_tokens = contract.max_tokens
        self.known = {contract.name: self.encoder.trained_on}
        facts: dict[str, Any] = {
            "model": self.model,
            "files": model_hash(self.encoder.folder.path),
        }
        if self.streamed:
            facts["pairs"] = {self.streamed.pairs.name: self.streamed.pairs.fingerprint}
        about = {"model": contract.name, "kind": contract.kind, "pairs": self.source}
        self.identify(guards, facts, about)

    def cut(self, given: Collection) -> tuple[Collection, tuple[str, ...]]:
        seed = self.recipe.seed
        made = (with_judged_splits if self.source else with_all_splits)(given, seed=seed)
        folded = self.foldable and held_out(made[0], seed=seed)
        return made if folded else with_enough_dev(*made, seed=seed)

    def queries_learned(self) -> Sequence[str]:
        return self.streamed.trained_queries() if self.streamed else super().queries_learned()

    def documents_learned(self) -> Sequence[str]:
        return self.streamed.pairs.positives if self.streamed else super().documents_learned()

    @property
    def dev_queries(self) -> int:
        return sum(map(len, self.held_out)) or super().dev_queries

    def examination(self, allow: Names[str]) -> Stage:
        more = [self.streamed.examined()] if self.streamed else []
        return self.doctor(allow, model_facts(self.encoder), *more)

    def before_training(self) -> dict[str, Do]:
        steps: dict[str, Do] = {}
        if self.recipe.distil.teacher:
            steps["ask the teacher"] = self.ask_teacher
        if self.recipe.objective.guide:
            steps["ask the guide"] = self.ask_guide
        if self.held_out:
            steps["cross-validate"] = self.cross_validate
        return steps

    def after_merging(self) -> dict[str, Do]:
        return {} if self.trained.head.weights is None else {"fusion": self.weigh_parts}

    def last(self) -> Stage:
        return self.test("storage", "queries", "examples")

    def mine(self, progress: Progress) -> None:
        if self.streamed:  # which brings its own
            limit = self.recipe.schedule.max_tokens
            self.data = self.streamed.training_data(self.encoder, max_tokens=limit)
        else:
            super().mine(progress)

    def material(self) -> TrainingData:
        return training_data(
            self.encoder, self.collection, self.negatives, self.recipe, self.corpus.same
        )

    def ask_teacher(self, progress: Progress) -> None:
        """Have the teacher score each query with its positive and negatives."""
        scores = teacher_scores(
            open_teacher(self.recipe.distil.teacher, device=self.device),
            self.data.pairs,
            queries=self.data.queries.texts,
            documents=self.data.documents.texts,
            run=self.folder,
            progress=progress,
        )
        self.data = dataclasses.replace(self.data, teacher=scores)

    def ask_guide(self, progress: Progress) -> None:
        """Have the guide encode what is learned from."""
        guide = Guide.of(
            self.recipe.objective.guide,
            self.data.pairs,
            queries=self.data.queries.texts,
            documents=self.data.documents.texts,
            run=self.folder,
            device=self.device,
            progress=progress,
        )
        self.data = dataclasses.replace(self.data, guide=guide)

    def cross_validate(self, progress: Progress) -> None:
        """Ask train's own queries what dev, which is too small, would say."""
        found = partial(dev_by_folds, self, self.encoder, self.held_out, progress)
        self.folder.once("folds.json", found)
        shutil.rmtree(self.folder.path / PLACE, ignore_errors=True)

    def known_dev(self) -> dict[float, float]:
        if not self.held_out:
            return super().known_dev()
        folds = self.folder.read("folds.json")
        return dict(zip(folds["ratios"], folds["dev"], strict=True))

    def weigh_parts(self, progress: Progress) -> None:
        """Fuse the scores of the head's parts with the weights that dev likes best, unless a guard
        loses more than its margin by it.
        """
        present = self.trained.head.weights
        if self.chosen and present is not None:  # else the model stays what it was
            found = self.folder.once("fusion.json", lambda: self._fitted_fusion(present))
            self._fuse_by(found["weights"])

    def _fitted_fusion(self, present: Mapping[str, float]) -> Fusion:
        queries, documents = self.pool.embedded(self.after)
        found = fit_fusion(queries.by_part, documents.by_part, present, self.pool)
        self._fuse_by(found.weights)
        frozen = self.folder.read("baseline.json")["guards"]
        kept = keeps(guard_values(self.guards, self.merged), frozen, self.margin)
        return found if kept else Fusion(dict(present), found.before, found.before)

    def _fuse_by(self, weights: Mapping[str, float]) -> None:
        self.trained.head.weights = dict(weights)
        self.trained.contract = dataclasses.replace(self.trained.contract, fusion=dict(weights))

    def save(self, progress: Progress) -> None:
        self.trained.layers = None
        if self.folder.has("model"):
            return
        name = f"{self.encoder.contract.name}-{self.collection.name}"
        # the base itself was trained for none of them
        dims = self.recipe.objective.dims if self.chosen else ()
        adapters, asked = self.trained.adapters, self.recipe.lora
        if adapters is not None and asked.rank and not asked.per_role:
            adapters.adapters[0].save(self.folder.path / "adapter", base=known_as(self.model))
        save_encoder(self.trained, self.folder.path / "model", name=name, matryoshka_dims=dims)

    def measure_test(self, split: Split, progress: Progress) -> Measured:
        for part in filter(self.folder.has, ("model", "adapter")):
            keep_trained_on([self.encoder.folder.path], self.folder.path / part, self.learnt)
        base, tuned = (
            load(path, precision=self.precision, device=self.device)
            for path in (self.model, self.folder.path / "model")
        )
        return self.measure_folders(base, tuned, split, progress)
