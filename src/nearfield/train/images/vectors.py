"""The vectors of images in a run, and the model as it stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nearfield.encoders.image.images import Opened, Vectors
from nearfield.errors import ModelError
from nearfield.formats.towers.towers import IMAGE_TOWER, Logits
from nearfield.similarity.dense import Dense
from nearfield.store.tensors import noted_tensors, whole_tensors
from nearfield.store.vector_cache import text_hash
from nearfield.train.recipe import Recipe
from nearfield.types.arrays import Floats
from nearfield.types.item import Item, is_image_url
from nearfield.types.progress import Progress, silent
from nearfield.types.role import IMAGE, Role


class ImageVectors:
    """The vectors, of unit length, that `encoder` makes of the images of a run, by content.
    `seconds` is what it took for each that was kept.
    """

    seconds = 0.0

    def __init__(self, encoder: Opened) -> None:
        self.encoder = encoder
        self._known: dict[bytes, Floats] = {}

    def keep(self, images: Sequence[str], place: Path, progress: Progress) -> None:
        """Encode the images, data URLs, or read what was made of them in the file `place`."""
        if not place.exists():
            made = self.encoder.encode(images, IMAGE, progress=progress)
            # a file of tensors notes strings; repr keeps each digit
            facts = {"seconds": repr(made.usage.seconds / max(1, len(images)))}
            noted_tensors(place, {"vectors": torch.from_numpy(made.floats())}, facts)
        vectors, facts = whole_tensors(place)
        self.seconds = float(facts["seconds"])
        self._add(images, vectors["vectors"].numpy())

    def of(self, images: Sequence[str]) -> Floats:
        """(n, width) of the images, those that are unknown encoded now."""
        new = [image for image in images if text_hash(image) not in self._known]
        if new:
            self._add(new, self.encoder.encode(new, IMAGE).floats())
        return np.stack([self._known[text_hash(image)] for image in images])

    def _add(self, images: Sequence[str], vectors: Floats) -> None:
        self._known |= zip(map(text_hash, images), vectors, strict=True)


class NewVectors(ImageVectors):
    """The vectors that an encoder makes whose tower learns: none is kept."""

    def keep(self, images: Sequence[str], place: Path, progress: Progress) -> None:
        """Nothing: they are other ones after the next step."""

    def of(self, images: Sequence[str]) -> Floats:
        """See ImageVectors.of."""
        made: Floats = self.encoder.encode(images, IMAGE).floats()
        return made


def vectors_of(encoder: Opened, recipe: Recipe) -> ImageVectors:
    """Those of the image tower of `encoder`: made once unless the recipe has it learn."""
    if IMAGE_TOWER in recipe.schedule.towers:
        return NewVectors(encoder)
    return ImageVectors(encoder)


class AsItStands(Opened):
    """A model of images and text with the weights that it has now; its vectors are kept nowhere.
    `text` encodes texts, `images` gives what the image tower makes of images, and `save` writes the
    folder of the model with the logits that its loss learned. `logits` are those from before.
    """

    def __init__(
        self,
        model: Any,
        text: Any,
        images: ImageVectors,
        save: Callable[[Path, Logits], None],
    ) -> None:
        self.model = model
        self.text = text
        self.made = images
        self.save = save
        self.logits = model.logits
        self.contract = model.folder.contract
        self.files = model.folder.path

    @classmethod
    def open(cls, folder: Any, options: Any) -> AsItStands:
        """Raises ModelError: a folder holds no model in training."""
        raise ModelError("a model in training is not opened from a folder")

    identity = None  # of weights that no file has: its vectors are in no cache

    @property
    def roles_differ(self) -> bool:
        differ: bool = self.text.roles_differ
        return differ

    def encode_as(self, role: Role, items: Sequence[Item], *, progress: Progress = silent) -> Dense:
        """See Encoder.encode_as; the seconds are those of images that are encoded."""
        made = super().encode_as(role, items, progress=progress)
        images = sum(map(is_image_url, items))
        seconds = made.usage.seconds + images * self.made.seconds
        return replace(made, usage=replace(made.usage, seconds=seconds))

    def texts_as(self, role: Role, texts: Sequence[str]) -> Dense:
        """See Opened.texts_as."""
        made: Dense = self.text.encode_as(role, texts)
        return made

    def images_as_vectors(self, items: Sequence[Item], places: Sequence[int]) -> Vectors:
        """See Opened.images_as_vectors."""
        if places:
            # the locked tower's vectors are known; the projection is what learns
            known = torch.from_numpy(self.made.of([items[at] for at in places]))
            with torch.inference_mode():
                made = self.model.project(known.to(self.model.device))
            yield list(places), made.cpu().numpy()
