"""What the steps of a run on images and texts are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from nearfield.batch.packed import packed_batches
from nearfield.batch.tokens import Tokens
from nearfield.data.readers.image import open_image
from nearfield.encoders.image.images import SeesImages
from nearfield.formats.towers.towers import IMAGE_TOWER, TEXT_TOWER
from nearfield.models.image.items import Made, Shown, Written
from nearfield.train.data.batch import PLAIN, Asked, TextBatch
from nearfield.train.data.mini_batches import MINI_TOKENS
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.training_data import ItemSource, TokenSource, TrainingData
from nearfield.train.images.augment import augmented
from nearfield.train.images.vectors import AsItStands
from nearfield.train.recipe import Recipe
from nearfield.types.arrays import Floats, Positions
from nearfield.types.contract import Contract
from nearfield.types.role import QUERY


@dataclass(frozen=True)
class MadeSource:
    """Items with the vectors that a locked model made of them, in place of a TokenSource."""

    texts: Sequence[str]
    vectors: Floats
    image: bool

    def tokens(self, items: Positions) -> Made:
        """The vectors of the items at these positions, in that order."""
        vectors = torch.from_numpy(self.vectors[items])
        return Made(np.arange(len(items)), np.arange(len(items)), vectors, self.image)

    def of_step(self, seed: tuple[int, ...]) -> MadeSource:
        """Itself: a vector that was made stays as it is."""
        return self


@dataclass(frozen=True)
class ImageSource:
    """Images, as data URLs, that a `tower` learns from: opened, changed by `augment` and prepared
    when a step wants them. `seed`: what the changes of the step are drawn from.
    """

    texts: Sequence[str]
    tower: SeesImages
    augment: Sequence[str]
    seed: tuple[int, ...] = ()

    def tokens(self, items: Positions) -> Shown:
        """The images at these positions, in that order."""
        draw = np.random.default_rng(self.seed)  # one for the step: it depends on no other step
        images = [
            augmented(open_image(self.texts[int(item)]), self.augment, draw) for item in items
        ]
        return Shown(np.arange(len(items)), self.tower.prepared(images))

    def of_step(self, seed: tuple[int, ...]) -> ImageSource:
        """The same with the changes that are drawn from `seed`."""
        return replace(self, seed=seed)


@dataclass(frozen=True)
class ImageData(TrainingData):
    """As TrainingData, of images that may change from step to step. `seed` is the run's."""

    documents: MadeSource | ImageSource
    seed: int = 0

    def prepare(self, batch: Positions, model: Any, asked: Asked = PLAIN) -> TextBatch:
        """See Material.prepare."""
        # every epoch has another order of pairs, and a killed run makes a step again from the same
        images = self.documents.of_step((self.seed, *batch.tolist()))
        step = replace(self, documents=images)
        return TrainingData.prepare(step, batch, model, asked)


def image_data(
    encoder: AsItStands,
    recipe: Recipe,
    captions: Sequence[str],
    images: Sequence[str],
    pairs: TrainingPairs,
    same: Positions,
    relevant: Sequence[set[int]],
) -> ImageData:
    """What the model learns from: of `captions` and `images` what a locked tower made of them.
    `pairs`, `same` and `relevant` are as in TrainingData.
    """
    schedule = recipe.schedule
    queries: ItemSource
    if TEXT_TOWER in schedule.towers:
        queries = TokenSource.of(encoder.text, captions, QUERY, schedule.max_tokens)
    else:
        queries = MadeSource(captions, encoder.text.encode(captions, QUERY).floats(), image=False)
    documents: MadeSource | ImageSource
    if IMAGE_TOWER in schedule.towers:
        documents = ImageSource(images, encoder.model.tower, schedule.augment)
    else:
        documents = MadeSource(images, encoder.made.of(images), image=True)
    return ImageData(queries, documents, pairs, same, relevant, cut=image_batches, seed=recipe.seed)


def image_batches(
    queries: Made | Tokens | Written,
    documents: Made | Shown,
    contract: Contract,
    asked: Asked = PLAIN,
) -> list[Any]:
    """The queries' mini-batches, and the documents', numbered after them; see `mini_batches`."""
    parts: list[Any] = []
    if isinstance(queries, Tokens):
        parts += packed_batches(queries, asked.budget or MINI_TOKENS)
    else:
        parts += queries.parts()
    count = sum(len(part.items) for part in parts)
    for part in documents.parts():
        parts.append(replace(part, items=part.items + count))
    return parts
