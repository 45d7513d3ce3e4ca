"""Tune a model of images and text: the projection of images learns, and the towers that the recipe
names.
"""

from __future__ import annotations

import math
from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from nearfield.data.collection import Collection, Split
from nearfield.data.trained_on import TrainedOn, keep_trained_on
from nearfield.encoders.load import load
from nearfield.errors import InputError, ModelError
from nearfield.formats.towers.find import image_layout
from nearfield.formats.towers.towers import IMAGE_TOWER, Logits
from nearfield.store.fingerprint import model_hash
from nearfield.store.run import RunFolder
from nearfield.train.data.leakage import judged_documents, relevance_by_position
from nearfield.train.data.prepare import possible_positives
from nearfield.train.data.training_data import TrainingData
from nearfield.train.engine.checkpoint import kept_step, kept_weights
from nearfield.train.engine.trainer import LEARNED
from nearfield.train.fields import need
from nearfield.train.images import IMAGE_TRAINING
from nearfield.train.images.kind import ImageTraining
from nearfield.train.images.sources import image_data
from nearfield.train.recipe import Recipe, refuse_keys
from nearfield.train.runs.conclude import Measured
from nearfield.train.runs.encoder_run import EncoderRun
from nearfield.train.runs.outlook import TRAINED
from nearfield.train.runs.run import Stage
from nearfield.train.setting import Setting
from nearfield.train.wrappers.learned_temperature import NAME, least_of
from nearfield.types.item import is_image_url
from nearfield.types.progress import Progress
from nearfield.types.role import DOCUMENT


def image_training(folder: Path) -> tuple[ImageTraining, Any]:
    """How the model of images and text in the folder is trained, and what its files say. Raises
    ModelError where it is one of images alone.
    """
    layout = image_layout(folder)
    if layout is None or layout.opens not in IMAGE_TRAINING:
        raise ModelError(
            f"{folder}: is a model of images alone; make it one of images and text with nearfield "
            "models join, and tune that"
        )
    return IMAGE_TRAINING[layout.opens], layout.read(folder)


def refuse_for_images(recipe: Recipe, setting: Setting) -> None:
    """Raise RecipeError for what a model of images and text has not, and InputError for a group of
    several processes.
    """
    keys = ("objective.guide", "objective.layer_weight", "objective.rotate", "lora.per_role")
    refuse_keys(recipe, "distil", *keys, wanted="none: a model of images and text has none")
    sources = recipe.negatives.sources
    seen = not recipe.negatives.per_query or sources == ("model",)
    need(seen, "negatives.sources", sources, "['model']: bm25 finds no images")
    wanted = "the towers that get adapters: text, image or both"
    learn = not recipe.lora.rank or bool(recipe.schedule.towers)
    need(learn, "schedule.towers", "empty beside lora", wanted)
    setting.refuse_group("a model of images and text")


class JoinedRun(EncoderRun):
    """A run that trains the model of images and text in the folder `model`."""

    def __init__(self, model: str, folder: RunFolder, recipe: Recipe, setting: Setting) -> None:
        super().__init__(folder, setting, recipe)
        self.model = model
        kind, facts = image_training(Path(model))
        encoder = kind.begin(facts, recipe, precision=self.precision, device=self.device)
        self.trained = encoder.model
        self.images = encoder.made
        self.measured_with(encoder)

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
        return image_data(
            self.encoder,
            self.recipe,
            split.query_texts,
            self.collection.document_texts,
            self.negatives,
            self.corpus.same,
            possible_positives(self.collection, split),
        )

    def work(self) -> Mapping[str, float]:
        """See Run.work: images that are encoded, those of test twice more, and those that a tower
        learns from.
        """
        judged = judged_documents(relevance_by_position(self.collection, self.held[-1]))
        learned = len(self.queries_learned()) if IMAGE_TOWER in self.recipe.schedule.towers else 0
        return {
            "encode documents": len(self.collection.document_ids),
            "train": TRAINED * self.recipe.schedule.epochs * learned,
            "test": 2 * len(judged),
        }

    def save(self, progress: Progress) -> None:
        if not self.folder.has("model"):
            logits = self.encoder.logits
            if self.chosen:
                learned = kept_weights(self.folder, kept_step(self.folder))
                logits = learned_logits(learned, self.recipe.objective.temperature)
            self.encoder.save(self.folder.path / "model", logits)

    def measure_test(self, split: Split, progress: Progress) -> Measured:
        keep_trained_on([Path(self.model)], self.folder.path / "model", self.learnt)
        base = load(self.model, device=self.device)
        tuned = load(self.folder.path / "model", device=self.device)
        # by what the run has kept of the images; the folders' models would open each of them again
        self.kept.encode(self.collection.document_texts[self.corpus.known], DOCUMENT)
        return self.measure_folders(base, tuned, split, progress)


def learned_logits(learned: Mapping[str, Tensor], temperature: float) -> Logits:
    """What the loss made of a cosine in the end, from the weights that it learned beside the
    model's; `temperature` is the recipe's, which holds where none is learned.
    """
    if f"{LEARNED}{NAME}" in learned:
        # not below what the loss itself went down to
        temperature = max(least_of(temperature), math.exp(learned[f"{LEARNED}{NAME}"]))
    return Logits(1 / temperature, float(learned.get(f"{LEARNED}bias", 0.0)))
