"""A run that tunes an embedding model on the data sets of its recipe."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from nearfield.data.collection import Collection, Split
from nearfield.data.doctor.subject import sample
from nearfield.data.kept_split import with_all_splits, with_enough_dev, with_judged_splits
from nearfield.data.trained_on import keep_trained_on
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.load import load
from nearfield.encoders.model_facts import model_facts
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError
from nearfield.models.find import model_path
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.models.surgery.rotate import rotate
from nearfield.runtimes.torch_runtime import TorchRuntime
from nearfield.store.fingerprint import model_hash
from nearfield.store.run import RunFolder
from nearfield.train.data.batch import Material
from nearfield.train.data.encoded_once import EncodedOnce
from nearfield.train.data.guide import Guide
from nearfield.train.data.sources import Mixed, Source
from nearfield.train.data.streamed import Chained, StreamedPairs
from nearfield.train.data.teacher import open_teacher, teacher_scores
from nearfield.train.engine.loop import needed
from nearfield.train.engine.lora import add_lora, known_as
from nearfield.train.recipe import TRAIN, Data, DataSet, Recipe, refuse_what_the_kind_lacks
from nearfield.train.runs.conclude import Measured
from nearfield.train.runs.cross_validate import PLACE, dev_by_folds, folded_note, held_out
from nearfield.train.runs.encoder_run import EncoderRun
from nearfield.train.runs.fusion import Fusion, fit_fusion
from nearfield.train.runs.guard import guard_values
from nearfield.train.runs.merge import keeps
from nearfield.train.runs.model_run import Do
from nearfield.train.runs.run import Stage
from nearfield.train.setting import Setting
from nearfield.types.progress import Progress
from nearfield.types.role import DOCUMENT

ROTATED = "rotated"  # the folder of the model with turned vectors, in a run folder
MOST_TURNED = 20_000  # documents that directions are taken from: many times the dims of any model


def learning_from(pairs: str, recipe: Recipe) -> Recipe:
    """The recipe with these pairs as its one data set, where any are given. Raises InputError where
    it names data of its own.
    """
    if not pairs:
        return recipe
    if recipe.stages or recipe.data.sets:
        raise InputError(
            f"pairs {pairs} were given beside a recipe that names its data sets; name them there"
        )
    return dataclasses.replace(recipe, data=Data((DataSet(pairs),)))


class TuningRun(EncoderRun):
    """A tuning run of `model` on the `sources` that its recipe names."""

    beyond: tuple[str, ...] = ("stages",)
    sources: Sequence[Source]

    def __init__(self, model: str, folder: RunFolder, recipe: Recipe, setting: Setting) -> None:
        super().__init__(folder, setting, recipe)
        self.model = model
        sets = self.data_sets()
        self.own_train = any(each.pairs == TRAIN for each in sets)
        self.trained: TextModel = TextModel.open(
            model_path(model), precision=self.precision, device=self.device
        )
        # not with other data sets, which no fold would hold out, nor where a head has parts, whose
        # fusion is chosen by dev
        self.foldable = self.own_train and len(sets) == 1 and self.trained.head.weights is None

    def data_sets(self) -> Sequence[DataSet]:
        """What is learned from."""
        return self.recipe.data.sets or (DataSet(),)

    def open_sources(self) -> Sequence[Source]:
        """The data sets, opened."""
        return [Source.open(each, self.recipe, self.collection) for each in self.data_sets()]

    @property
    def streamed(self) -> list[StreamedPairs]:
        """The pairs that are learned from beside the train split, or in its place."""
        return [source.pairs for source in self.sources if source.pairs is not None]

    def begin(self, collection: Collection, guards: Sequence[str] | None = None) -> None:
        """Open what is learned from and what measures it, and write what decides the result."""
        recipe = self.recipe
        # given pairs are cleared of leaks row by row, where they are opened
        self.take(collection, leaks=self.own_train)
        self.held_out = held_out(self.collection, seed=recipe.seed) if self.foldable else []
        self.folds = len(self.held_out)
        if self.held_out:
            self.notes = (*self.notes, folded_note(self.collection, self.held_out))
        self.sources = self.open_sources()
        self.notes = (*self.notes, *(each.note for each in self.streamed))
        self.pairs = sum(map(len, self.sources))
        refuse_what_the_kind_lacks(recipe, self.trained.contract)
        if recipe.objective.rotate:
            self.trained = self.rotated()
        add_lora(self.trained, recipe)
        self.measured_with(TextEncoder(self.trained.folder, TorchRuntime(self.trained)))
        contract = self.encoder.contract
        self.max_tokens = contract.max_tokens
        self.known = {contract.name: self.encoder.trained_on}
        facts: dict[str, Any] = {
            "model": self.model,
            "files": model_hash(self.encoder.folder.path),
        }
        if self.streamed:
            facts["pairs"] = {each.pairs.called: each.pairs.fingerprint for each in self.streamed}
        self.identify(guards, facts, {"model": contract.name, "kind": contract.kind})

    def rotated(self) -> TextModel:
        """The model with its vectors turned, from a folder of this run's that is made once."""
        place = self.folder.path / ROTATED
        if not place.exists():
            encoder = TextEncoder(self.trained.folder, TorchRuntime(self.trained))
            documents = self.collection.document_texts
            texts = list(documents[sample(len(documents), MOST_TURNED)])
            made = encoder.encode(texts, DOCUMENT)
            rotate(self.model, to=place, vectors=made.floats())
        return TextModel.open(place, precision=self.precision, device=self.device)

    def before(self, base: Encoder[Any]) -> EncodedOnce:
        """See EncoderRun.before; where this run turned the vectors, the base's are as they were."""
        if self.recipe.objective.rotate:
            return EncodedOnce(base)
        return super().before(base)

    def cut(self, given: Collection) -> tuple[Collection, tuple[str, ...]]:
        seed = self.recipe.seed
        splits_of = with_all_splits if self.own_train else with_judged_splits
        made, notes = splits_of(given, seed=seed)
        if self.foldable and held_out(made, seed=seed):
            return made, notes  # train's queries choose, and none is taken from them for dev
        return with_enough_dev(made, notes, seed=seed)

    def queries_learned(self) -> Sequence[str]:
        return Chained(*(source.queries for source in self.sources))

    def documents_learned(self) -> Sequence[str]:
        return Chained(*(source.documents for source in self.sources))

    @property
    def dev_queries(self) -> int:
        return sum(map(len, self.held_out)) or super().dev_queries

    def examination(self, allow: Names[str]) -> Stage:
        more = (each.examined() for each in self.streamed)
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
        if self.own_train:
            super().mine(progress)
        else:  # pairs bring their own
            self.data = self.material()

    def material(self) -> Material:
        mined = self.negatives if self.own_train else None
        parts = [
            source.training_data(self.encoder, mined, self.corpus.same) for source in self.sources
        ]
        if len(parts) == 1:
            return parts[0]
        recipes = [source.recipe for source in self.sources]
        # each is asked now: a data set may have its first batch in the middle of the run
        for part, recipe in zip(parts, recipes, strict=True):
            needed(part, recipe, self.trained)
        return Mixed(parts, recipes, self.recipe.data.mix)

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
        self._fuse_by(found.weights)  # so that the guards are measured with them
        frozen = self.folder.read("baseline.json")["guards"]
        if keeps(guard_values(self.guards, self.merged), frozen, self.margin):
            return found
        return Fusion(dict(present), found.before, found.before)

    def _fuse_by(self, weights: Mapping[str, float]) -> None:
        self.trained.head.weights = dict(weights)
        self.trained.contract = dataclasses.replace(self.trained.contract, fusion=dict(weights))

    def save(self, progress: Progress) -> None:
        self.trained.layers = None  # the kernels' copies of the weights, which nothing needs now
        if self.folder.has("model"):
            return
        name = f"{self.encoder.contract.name}-{self.collection.name}"
        # the base itself was trained for none of them
        dims = self.recipe.objective.dims if self.chosen else ()
        adapters = self.trained.adapters
        asked = self.recipe.lora
        # the model's folder holds merged weights; the adapter alone is for other tools
        if adapters is not None and asked.rank and not asked.per_role:
            adapters.adapters[0].save(self.folder.path / "adapter", base=known_as(self.model))
        save_encoder(self.trained, self.folder.path / "model", name=name, matryoshka_dims=dims)

    def measure_test(self, split: Split, progress: Progress) -> Measured:
        made = self.folder.path / "model"
        adapter = self.folder.path / "adapter"
        for folder in (made, adapter):
            if folder.exists():
                keep_trained_on([self.encoder.folder.path], folder, self.learnt)
        base = load(self.model, precision=self.precision, device=self.device)
        tuned = load(made, precision=self.precision, device=self.device)
        return self.measure_folders(base, tuned, split, progress)
