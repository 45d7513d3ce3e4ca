"""Tune a model of images and text: the image encoder stays locked, the projection of its vectors is
trained, and low-rank adapters of the texts' model where the recipe asks for them.
"""

from __future__ import annotations

import math
from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from nearfield.data.collection import Collection, Split
from nearfield.data.trained_on import TrainedOn, keep_trained_on
from nearfield.encoders.image.images import ImageEncoder
from nearfield.encoders.load import load
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError, ModelError, RecipeError
from nearfield.formats.towers.find import image_layout
from nearfield.formats.towers.towers import Logits
from nearfield.models.image.tower import ImageTower
from nearfield.models.image.trainable import TrainableJoined
from nearfield.models.saving.save_joined import save_joined
from nearfield.runtimes.torch_runtime import TorchRuntime
from nearfield.store.run import RunFolder
from nearfield.train.data.image_vectors import AsItStands, ImageVectors, MadeSource, made_batches
from nearfield.train.data.leakage import judged_documents, relevance_by_position
from nearfield.train.data.prepare import possible_positives
from nearfield.train.data.training_data import TokenSource, TrainingData
from nearfield.train.engine.checkpoint import kept_step, kept_weights
from nearfield.train.engine.environment import model_hash
from nearfield.train.engine.lora import add_lora
from nearfield.train.engine.trainer import LEARNED
from nearfield.train.recipe import Negatives, ObjectiveChoice, Recipe, Schedule
from nearfield.train.runs.conclude import Measured
from nearfield.train.runs.encoder_run import EncoderRun
from nearfield.train.runs.run import Stage
from nearfield.train.setting import Setting
from nearfield.train.wrappers.learned_temperature import LEAST, NAME
from nearfield.types.item import is_image_url
from nearfield.types.progress import Progress
from nearfield.types.role import DOCUMENT, QUERY

DEFAULT = Recipe(
    objective=ObjectiveChoice("symmetric", temperature=0.07, learn_temperature=True),
    negatives=Negatives(per_query=0),
    schedule=Schedule(epochs=30.0, batch=128, evaluations=10),
)
"""CLIP's loss at CLIP's first temperature. Vectors are made once, so that epochs cost little."""


def refuse(recipe: Recipe, setting: Setting) -> None:
    """Raise RecipeError for what a model of images and text has not, and InputError for a group of
    several processes.
    """
    for key, asked in {
        "distil.teacher": recipe.distil.teacher,
        "objective.guide": recipe.objective.guide,
        "lora.per_role": recipe.lora.per_role,
    }.items():
        if asked:
            raise RecipeError(f"{key} is {asked}; a model of images and text has none")
    if recipe.negatives.per_query and recipe.negatives.sources != ("model",):
        raise RecipeError(
            f"negatives.sources is {list(recipe.negatives.sources)}; wanted ['model']: bm25 finds "
            "no images"
        )
    if setting.group.size > 1:
        raise InputError(
            f"a model of images and text is trained in one process, not {setting.group.size}"
        )


class JoinedRun(EncoderRun):
    """A run that trains the joined model in the folder `model`."""

    trained: TrainableJoined

    def __init__(self, model: str, folder: RunFolder, recipe: Recipe, setting: Setting) -> None:
        super().__init__(folder, setting, recipe)
        self.model = model
        layout = image_layout(Path(model))
        if layout is None or layout.opens != "joined":
            raise ModelError(
                f"{model}: only a model that nearfield models join wrote is tuned on images"
            )
        facts = layout.read(Path(model))
        self.trained = TrainableJoined(facts, precision=self.precision, device=self.device)
        add_lora(self.trained.text, recipe)
        text = TextEncoder(facts.text, TorchRuntime(self.trained.text))
        tower = ImageTower(facts.image).to(self.device)
        self.images = ImageVectors(ImageEncoder(tower))
        self.measured_with(AsItStands(self.trained, text, self.images))
        self.max_tokens = 1

    def begin(self, collection: Collection, guards: Sequence[str] | None = None) -> None:
        """Write what decides the result."""
        self.take(collection)
        for document, text in zip(self.given.document_ids, self.given.document_texts, strict=True):
            if not is_image_url(text):
                raise InputError(
                    f"document {document} is a text; a model of images and text learns from a "
                    "folder of images with captions"
                )
        contract = self.encoder.contract
        self.known = {contract.name: TrainedOn.read(Path(self.model))}
        facts = {"model": self.model, "files": model_hash(Path(self.model))}
        self.identify(guards, facts, {"model": contract.name, "kind": contract.kind, "pairs": ""})

    def examination(self, allow: Names[str]) -> Stage:
        return self.doctor(allow, None)

    def encode_documents(self, progress: Progress) -> None:
        place = self.folder.path / "image-vectors.safetensors"
        self.images.keep(self.collection.document_texts, place, progress)
        super().encode_documents(progress)

    def material(self) -> TrainingData:
        split = self.collection.split("train")
        images = self.collection.document_texts
        texts = split.query_texts
        limit = self.recipe.schedule.max_tokens
        queries: TokenSource | MadeSource = TokenSource.of(self.encoder.text, texts, QUERY, limit)
        if self.trained.text.adapters is None:  # locked, too
            made = self.encoder.text.encode(texts, QUERY).floats()
            queries = MadeSource(texts, made, image=False)
        return TrainingData(
            queries,
            MadeSource(images, self.images.of(images), image=True),
            self.negatives,
            self.corpus.same,
            possible_positives(self.collection, split),
            cut=made_batches,
        )

    def work(self) -> Mapping[str, float]:
        """See Run.work: images are encoded by the locked model, and those of test twice more."""
        judged = judged_documents(relevance_by_position(self.collection, self.held[-1]))
        return {
            "encode documents": len(self.collection.document_ids),
            "test": 2 * len(judged),
        }

    def save(self, progress: Progress) -> None:
        if not self.folder.has("model"):
            learned = kept_weights(self.folder, kept_step(self.folder))
            logits = learned_logits(learned, self.recipe.objective.temperature)
            save_joined(self.trained, self.folder.path / "model", logits)

    def measure_test(self, split: Split, progress: Progress) -> Measured:
        keep_trained_on([Path(self.model)], self.folder.path / "model", self.learnt)
        base, tuned = (
            load(path, device=self.device) for path in (self.model, self.folder.path / "model")
        )
        self.kept.encode(self.collection.document_texts[self.corpus.known], DOCUMENT)
        return self.measure_folders(base, tuned, split, progress)


def learned_logits(learned: Mapping[str, Tensor], temperature: float) -> Logits:
    """What the loss made of a cosine in the end, from the weights that it learned beside the
    model's; `temperature` is the recipe's, which holds where none is learned.
    """
    if f"{LEARNED}{NAME}" in learned:
        temperature = max(LEAST, math.exp(learned[f"{LEARNED}{NAME}"]))
    return Logits(1 / temperature, float(learned.get(f"{LEARNED}bias", 0.0)))
