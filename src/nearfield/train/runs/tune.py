"""A tuning run from data to verdict, in stages that are each done once."""

from __future__ import annotations

import dataclasses
import shutil
import time
import warnings
from collections.abc import Collection as Names
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from nearfield.data.collection import Collection
from nearfield.data.doctor.examine import examine, refuse
from nearfield.data.kept_split import (
    split_of_run,
    with_all_splits,
    with_enough_dev,
    with_judged_splits,
)
from nearfield.data.open import open_collection, open_pairs
from nearfield.data.pairs import Pairs
from nearfield.data.trained_on import TrainedOn, TrainingRun, keep_trained_on
from nearfield.encoders.load import load
from nearfield.encoders.model_facts import model_facts
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError, TruncationWarning
from nearfield.evaluate.trained import TRAINED_ON, refuse_seen
from nearfield.formats.model_folder import read_model_folder
from nearfield.models.find import model_path
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.retrieval.bm25 import first_found
from nearfield.runtimes.torch_runtime import TorchRuntime
from nearfield.store.run import RunFolder
from nearfield.train.data.encoded_once import EncodedOnce
from nearfield.train.data.leakage import without_leaks
from nearfield.train.data.pool import Pool
from nearfield.train.data.prepare import Corpus, dev_pool, mine, open_corpus, training_data
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.streamed import StreamedPairs
from nearfield.train.data.teacher import open_teacher, teacher_scores
from nearfield.train.data.training_data import TrainingData
from nearfield.train.engine.checkpoint import kept_step
from nearfield.train.engine.environment import (
    device_here,
    environment,
    model_hash,
    same_environment,
)
from nearfield.train.engine.loop import train
from nearfield.train.engine.lora import add_lora, known_as, scaled_base
from nearfield.train.engine.trainer import few_torch_threads, native_layers, trainable
from nearfield.train.recipe import Recipe, default_recipe, refuse_what_the_kind_lacks
from nearfield.train.runs.conclude import conclude, cuts, forgotten, measure_test, verdict_of
from nearfield.train.runs.cross_validate import (
    PLACE,
    cross_validate,
    folded_note,
    folds_of,
    held_out,
)
from nearfield.train.runs.fusion import Fusion, fit_fusion
from nearfield.train.runs.guard import Guard, guard_values, open_guards
from nearfield.train.runs.merge import Merged, keeps, put_weights, search
from nearfield.train.runs.outlook import Outlook, expected_work
from nearfield.train.setting import UNWATCHED, Setting
from nearfield.types.arrays import Floats
from nearfield.types.finding import Finding
from nearfield.types.progress import Progress, silent
from nearfield.types.verdict import Verdict

FINISHED = (
    "model",
    "merge.json",
    "comparison.json",
    "storage.json",
    "queries.json",
    "examples.json",
    "verdict.json",
)


def tune(
    model: str,
    data: object,
    *,
    to: str | Path,
    recipe: Recipe | None = None,
    guards: Sequence[str] = (),
    allow: Names[str] = (),
    pairs: str = "",
    setting: Setting = UNWATCHED,
) -> Verdict:
    """Tune `model` on `data`, which `open_collection` takes, and say whether that made it better on
    the test split, which nothing before the end has seen.

    Without a `recipe` it is the default one of the model's kind. `to` is the run folder: a run that
    was interrupted goes on where it was, to the same result; a finished one is read. `guards` are
    collections or scored pairs (paths or embedded names) that the tuned model must not lose more
    than the recipe's margin on. `allow` names doctor's errors to go on with, and "trained-on" for a
    model that was trained on queries that this run measures. `pairs` are what `open_pairs` takes,
    of any size, and are learned from instead of the collection's train split, with their own
    negatives and none mined (see `StreamedPairs`). `setting` says who watches. Raises
    DoctorRefusal, RecipeError, CollectionError, ModelError, and InputError when the folder holds
    another run.
    """
    if Path(model).is_dir() and Path(to).resolve().is_relative_to(Path(model).resolve()):
        raise InputError(
            "lies within the model's folder; give a run folder elsewhere with --to", path=to
        )
    collection = data if isinstance(data, Collection) else open_collection(data)
    source = str(data) if isinstance(data, str | Path) else collection.name
    kind = read_model_folder(model_path(model)).contract.kind
    with RunFolder(to).locked() as folder, warnings.catch_warnings():
        # the doctor's findings and the comparison's notes say what was cut
        warnings.simplefilter("ignore", TruncationWarning)
        run = TuningRun(
            model, collection, folder, recipe or default_recipe(kind), setting, pairs=pairs
        )
        run.identify(guards, source=setting.source or source)
        if not all(folder.has(part) for part in FINISHED):
            with setting.watch("doctor") as watched:
                run.outlook = Outlook({"doctor": len(collection.documents)}, watched)
                run.examine(allow)
            with setting.watch(f"tune {run.encoder.contract.name}") as watched:
                made = folder.has("model") and folder.has("merge.json")
                run.outlook = Outlook({"test": 1.0} if made else run.work(), watched)
                if not made:
                    run.measure_baseline()
                    run.merge(run.train())
                    run.trained.layers = None
                run.mark()
                run.conclude()
        return read_verdict(folder)


def read_verdict(folder: RunFolder) -> Verdict:
    """The verdict that a finished run wrote."""
    return verdict_of(folder.read("verdict.json"))


class TuningRun:
    """One run's stages, in the order of `tune`. Each leaves its part in the run folder and is not
    done again when that is there.
    """

    def __init__(
        self,
        model: str,
        collection: Collection,
        folder: RunFolder,
        recipe: Recipe,
        setting: Setting,
        *,
        pairs: str = "",
    ) -> None:
        self.model, self.folder, self.recipe, self.setting = model, folder, recipe, setting
        self.device = device_here(setting.device, setting.group)
        here = environment(recipe.schedule.precision, self.device) | {
            "processes": setting.group.size
        }
        self.precision = same_environment(folder.once("environment.json", lambda: here), here)
        self.given, self.pairs, self.streamed = collection, pairs, None
        self.trained = TextModel.open(
            model_path(model), precision=self.precision, device=self.device
        )
        # whose fusion dev chooses, too
        foldable = not pairs and self.trained.head.weights is None
        self.split, self.notes = self._split(foldable=foldable)
        self.collection = self.split
        if not pairs:
            self.collection, leaks = without_leaks(self.split)
            self.notes = (*self.notes, *leaks)
        self.held_out = held_out(self.collection, seed=recipe.seed) if foldable else []
        if self.held_out:
            self.notes = (*self.notes, folded_note(self.collection, self.held_out))
        if pairs:
            self.streamed = StreamedPairs.of(
                open_pairs(pairs), self.collection, negatives=recipe.negatives.per_query
            )
            self.streamed.check(recipe)
            self.notes = (*self.notes, self.streamed.note)
        add_lora(self.trained, recipe)
        self.encoder = TextEncoder(self.trained.folder, TorchRuntime(self.trained))
        # by the base and by the merged weights
        self.documents, self.merged = EncodedOnce(self.encoder), EncodedOnce(self.encoder)
        self.base: dict[str, Tensor] = {}
        self.guards: list[Guard] = []
        self.outlook = Outlook({}, silent)
        self._pool: Pool | None = None
        self._corpus: Corpus | None = None
        refuse_what_the_kind_lacks(recipe, self.encoder.contract)

    def _split(self, *, foldable: bool) -> tuple[Collection, tuple[str, ...]]:
        """The collection in the run's own splits, which the folder keeps, and what was done to get
        them, in words.
        """

        def cut() -> tuple[Collection, tuple[str, ...]]:
            made = (with_judged_splits if self.pairs else with_all_splits)(
                self.given, seed=self.recipe.seed
            )
            folded = foldable and held_out(made[0], seed=self.recipe.seed)
            return made if folded else with_enough_dev(*made, seed=self.recipe.seed)

        return split_of_run(self.folder.path / "split.json", self.given, cut)

    def identify(self, guards: Sequence[str], *, source: str) -> None:
        """Write what decides the result, or check that the folder's run is this one."""
        known = self.encoder.trained_on | TrainedOn((self.learnt,))
        tested = self.collection.split("test").query_texts
        self.guards = open_guards(
            guards,
            measure=self.recipe.measure,
            limit=self.recipe.pool,
            tested=tested,
            trained=known,
        )
        self.folder.identify("recipe.json", dataclasses.asdict(self.recipe))
        facts: dict[str, Any] = {
            "model": self.model,
            "files": model_hash(self.encoder.folder.path),
            "collection": self.given.name,
            "fingerprint": self.collection.fingerprint,
            "guards": {guard.name: guard.fingerprint for guard in self.guards},
            "notes": list(self.notes),
        }
        if self.streamed:
            facts["pairs"] = {self.streamed.pairs.name: self.streamed.pairs.fingerprint}
        self.folder.identify("data.json", facts)
        asked = {"source": source, "guards": list(guards), "pairs": self.pairs}
        self.folder.once("run.json", lambda: self._about() | asked)

    def _about(self) -> dict[str, Any]:
        data, contract = self.collection, self.encoder.contract
        return {
            "format": 1,
            "model": contract.name,
            "collection": data.name,
            "split_sizes": {name: len(data.split(name).query_ids) for name in data.splits},
            "kind": contract.kind,
            "documents": len(data.documents),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "notes": list(self.notes),
            "to": str(self.folder.path),
        }

    def examine(self, allow: Names[str]) -> None:
        """Ask the doctor, and stop where it finds an error that is not allowed, or where the model
        knows what it is measured on.
        """
        held = [self.collection.split(name) for name in ("dev", "test")]
        seen = [name for name in allow if name == TRAINED_ON]
        refuse_seen({self.encoder.contract.name: self.encoder.trained_on}, *held, allow=seen)
        with self._stage("doctor") as progress:
            facts = model_facts(self.encoder)
            looked_at: list[Collection | Pairs] = [
                self.split,
                *([self.streamed.examined()] if self.streamed else []),
            ]
            findings = (
                finding
                for data in looked_at
                for finding in examine(data, model=facts, first=first_found, progress=progress)
            )
            found = self.folder.once("doctor.json", lambda: list(findings))
        refuse(
            [Finding(**finding) for finding in found],
            allow=[name for name in allow if name != TRAINED_ON],
        )

    def measure_baseline(self) -> None:
        """Freeze what the base model reaches: dev and every guard."""
        self.base = {name: weight.detach().clone() for name, weight in self._trainable().items()}
        with few_torch_threads(self.trained):
            pool = self.pool  # for which all documents are encoded, a stage of its own
            with self._stage("baseline") as progress:
                self.folder.once("baseline.json", lambda: self._baseline(pool, progress))

    def _baseline(self, pool: Pool, progress: Progress) -> dict[str, Any]:
        dev = pool.scores(self.documents)
        choosing, reported = (
            guard_values(self.guards, self.documents, reporting=reporting, progress=progress)
            for reporting in (False, True)
        )
        values = {"dev": dev.mean, "dev_values": dev.values.tolist()}
        return values | {"guards": choosing, "reported": reported}

    def _trainable(self) -> dict[str, nn.Parameter]:
        """The weights that training changes, by name; what is measured from here on runs on the
        kernels that train them, where some do.
        """
        found = trainable(self.trained, self.recipe)
        self.trained.layers = native_layers(self.trained, self.recipe)
        return found

    @property
    def corpus(self) -> Corpus:
        """The documents as the base model encodes them; wanted before anything is trained."""
        if self._corpus is None:
            with self._stage("encode documents") as progress:
                self._corpus = open_corpus(self.documents, self.collection, progress=progress)
        return self._corpus

    @property
    def pool(self) -> Pool:
        """The dev queries and the documents that they are searched in while tuning."""
        if self._pool is None:
            self._pool = dev_pool(self.documents, self.corpus, self.recipe)
        return self._pool

    def train(self) -> dict[str, Tensor]:
        """The trained weights that are kept, by name."""
        pool, data = self.pool, self._training_data()
        if self.recipe.distil.teacher:
            with self._stage("ask the teacher") as progress:
                data = dataclasses.replace(data, teacher=self._teacher_scores(data, progress))
        before = self.folder.read("baseline.json").get("dev_values")
        if self.held_out:
            with self._stage("cross-validate") as progress:
                self.folder.once("folds.json", lambda: self._cross_validate(data, progress))
                shutil.rmtree(self.folder.path / PLACE, ignore_errors=True)
        with self._stage("train") as progress:

            def measured(done: int, total: int, note: str = "") -> None:
                progress(0, 0, f"dev {done:,}/{total:,}")

            return train(
                self.trained,
                data,
                self.recipe,
                run=self.folder,
                measure=None
                if self.held_out
                else lambda: pool.scores(self.encoder, progress=measured).values,
                progress=progress,
                before=None if before is None else np.array(before, np.float64),
                group=self.setting.group,
            )

    def _cross_validate(self, data: TrainingData, progress: Progress) -> dict[str, Any]:
        """What dev would say at each ratio, by train's own queries; the base weights stay in the
        model.
        """
        split = self.collection.split("train")
        pools = [
            dev_pool(self.documents, self.corpus, self.recipe, split.part(rows.tolist()))
            for rows in self.held_out
        ]
        held = list(zip(folds_of(split, self.held_out, self.corpus.same), pools, strict=True))

        def learn(part: TrainingData, run: RunFolder, told: Progress) -> dict[str, Tensor]:
            put_weights(self._trainable(), self.base, self.base, 0)
            return train(
                self.trained,
                part,
                self.recipe,
                run=run,
                measure=None,
                progress=told,
                group=self.setting.group,
            )

        def measure(
            pool: Pool, tuned: Mapping[str, Tensor], ratio: float
        ) -> npt.NDArray[np.float64]:
            put_weights(self._trainable(), scaled_base(self.base, tuned), tuned, ratio)
            with few_torch_threads(self.trained):
                return pool.scores(self.encoder).values

        ratios = self.recipe.merge.ratios
        found = cross_validate(
            held,
            data,
            ratios=ratios,
            run=self.folder,
            learn=learn,
            measure=measure,
            progress=progress,
        )
        put_weights(self._trainable(), self.base, self.base, 0)
        return found

    def _training_data(self) -> TrainingData:
        if self.streamed is not None:
            return self.streamed.training_data(
                self.encoder, max_tokens=self.recipe.schedule.max_tokens
            )
        corpus = self.corpus
        with self._stage("mine negatives") as progress:
            pairs = TrainingPairs.of(
                self.folder.once(
                    "negatives.json", lambda: mine(self.documents, corpus, self.recipe).json()
                )
            )
            progress(1, 1)
        return training_data(self.encoder, self.collection, pairs, self.recipe, corpus.same)

    def _teacher_scores(self, data: TrainingData, progress: Progress) -> Floats:
        return teacher_scores(
            open_teacher(self.recipe.distil.teacher, device=self.device),
            data.pairs,
            queries=data.queries.texts,
            documents=data.documents.texts,
            run=self.folder,
            progress=progress,
        )

    def merge(self, tuned: dict[str, Tensor]) -> None:
        """Write the model at the ratio of tuned to base weights that dev likes best without a guard
        losing more than its margin.
        """
        into, self.base = self._trainable(), scaled_base(self.base, tuned)
        with few_torch_threads(self.trained), self._stage("merge") as progress:
            rows = self.folder.once(
                "merge.json", lambda: self._measured_ratios(into, tuned, progress)
            )
        (ratio,) = (row["ratio"] for row in rows if row["chosen"])
        put_weights(into, self.base, tuned, ratio)
        # at 0 the model stays what it was
        if ratio and self.trained.head.weights is not None:
            self._weigh_parts(self.trained.head.weights)
        if not self.folder.has("model"):
            name = f"{self.encoder.contract.name}-{self.collection.name}"
            # the base itself was trained for none of them
            dims = self.recipe.objective.dims if ratio else ()
            if (
                self.trained.adapters is not None
                and self.recipe.lora.rank
                and not self.recipe.lora.per_role
            ):
                self.trained.adapters.adapters[0].save(
                    self.folder.path / "adapter", base=known_as(self.model)
                )
            save_encoder(self.trained, self.folder.path / "model", name=name, matryoshka_dims=dims)

    @cached_property
    def learnt(self) -> TrainingRun:
        """The queries that this run trains on, chooses with and is measured on, as its model's
        folder says it.
        """
        texts = (
            self.streamed.trained_queries()
            if self.streamed
            else self.collection.split("train").query_texts
        )
        dev, test = (self.collection.split(name).query_texts for name in ("dev", "test"))
        return TrainingRun.of(texts, dev=dev, test=test)

    def mark(self) -> None:
        """Have the model's folder, and its adapter's, say what it was trained on."""
        for part in filter(self.folder.has, ("model", "adapter")):
            keep_trained_on([self.encoder.folder.path], self.folder.path / part, self.learnt)

    def _weigh_parts(self, present: Mapping[str, float]) -> None:
        """Fuse the scores of the head's parts with the weights that dev likes best, unless a guard
        loses more than its margin by it.
        """
        with self._stage("fusion"):
            found = Fusion(**self.folder.once("fusion.json", lambda: self._fitted_fusion(present)))
        self._fuse_by(found.weights)

    def _fitted_fusion(self, present: Mapping[str, float]) -> Fusion:
        queries, documents = self.pool.embedded(self.merged)
        found = fit_fusion(queries.by_part, documents.by_part, present, self.pool)
        self._fuse_by(found.weights)
        kept = keeps(
            guard_values(self.guards, self.merged),
            self.folder.read("baseline.json")["guards"],
            self.recipe.merge.margin,
        )
        return found if kept else Fusion(dict(present), found.before, found.before)

    def _fuse_by(self, weights: Mapping[str, float]) -> None:
        self.trained.head.weights = dict(weights)
        self.trained.contract = dataclasses.replace(self.trained.contract, fusion=dict(weights))

    def _measured_ratios(
        self, into: Mapping[str, Tensor], tuned: dict[str, Tensor], progress: Progress
    ) -> list[Merged]:
        baseline, step = self.folder.read("baseline.json"), kept_step(self.folder)
        base = Merged(0.0, baseline["dev"], baseline["guards"], allowed=True)
        dev_then = self.folder.dev_after(step)
        known = {} if dev_then is None else {1.0: dev_then}
        if self.held_out:
            folds = self.folder.read("folds.json")
            known = dict(zip(folds["ratios"], folds["dev"], strict=True))
            base = dataclasses.replace(base, dev=known[0.0])
        # else the weights that are kept are the base's
        ratios = self.recipe.merge.ratios if step else ()
        here = -1.0  # where training ended

        def put(ratio: float) -> None:
            nonlocal here
            if ratio != here:
                put_weights(into, self.base, tuned, ratio)
                self.merged.forget()
                here = ratio

        def dev(ratio: float) -> float:
            progress(len(known), len(ratios), f"dev at tuned share {ratio:g}")
            if ratio not in known:
                put(ratio)
                known[ratio] = self.pool.scores(self.merged).mean
            return known[ratio]

        def guards(ratio: float) -> Mapping[str, float]:
            progress(len(ratios), len(ratios), f"guards at tuned share {ratio:g}")
            put(ratio)
            return guard_values(self.guards, self.merged)

        rows = search(base, ratios, dev=dev, guards=guards, margin=self.recipe.merge.margin)
        put(next(row.ratio for row in rows if row.chosen))
        return rows

    def conclude(self) -> None:
        """Measure the test split, once, and give the verdict; vectors that the same weights made in
        this run are not made again.
        """
        base, tuned = (
            load(path, precision=self.precision, device=self.device)
            for path in (self.model, self.folder.path / "model")
        )
        name = base.contract.name
        chosen = next(row["ratio"] for row in self.folder.read("merge.json") if row["chosen"])
        once = (
            self.documents.handed_to(base),
            (self.merged if chosen else self.documents).handed_to(tuned),
        )
        with self._stage("test") as progress:
            dims = cuts(base.contract, tuned.contract.matryoshka_dims)
            split = self.collection.split("test")
            found = measure_test(
                *once, split, name=name, measure=self.recipe.measure, dims=dims, progress=progress
            )
            after = guard_values(self.guards, once[1], reporting=True)
        lost = forgotten(
            self.guards,
            self.folder.read("baseline.json")["reported"],
            after,
            self.recipe.merge.margin,
        )
        for part, value in found.items():
            self.folder.write(f"{part}.json", value)
        dev = sum(map(len, self.held_out)) or len(self.collection.split("dev").query_ids)
        verdict = conclude(
            found["comparison"], base=name, tuned=f"{name} tuned", forgotten=lost, dev_queries=dev
        )
        self.folder.write("verdict.json", verdict)

    @contextmanager
    def _stage(self, title: str) -> Iterator[Progress]:
        """Progress of a stage, and its seconds added to run.json when it is done."""
        started = time.perf_counter()
        with self.outlook.stage(title) as progress:
            yield progress
        about = self.folder.read("run.json")
        seconds = about.setdefault("seconds", {})
        seconds[title] = round(seconds.get(title, 0.0) + time.perf_counter() - started, 1)
        self.folder.write("run.json", about)

    def work(self) -> dict[str, float]:
        """About what each stage takes (see `Outlook`)."""
        halves = [half for guard in self.guards for half in (guard.choosing, guard.reporting)]
        texts = len(set[str]().union(*(half.texts for half in halves)))
        pairs = len(self.streamed.training) if self.streamed else None
        longest = self.encoder.contract.max_tokens
        return expected_work(
            self.recipe,
            self.collection,
            max_tokens=longest,
            guards=texts,
            pairs=pairs,
            folds=len(self.held_out),
        )
