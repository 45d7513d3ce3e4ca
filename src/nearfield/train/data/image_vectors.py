"""What locked models make of images and texts, each made once, and batches of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nearfield.batch.packed import packed_batches
from nearfield.batch.tokens import Tokens
from nearfield.encoders.image.images import ImageEncoder, Opened, Vectors
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ModelError
from nearfield.models.image.trainable import Made, TrainableJoined
from nearfield.similarity.dense import Dense
from nearfield.store.tensors import noted_tensors, whole_tensors
from nearfield.store.vector_cache import text_hash
from nearfield.train.data.mini_batches import MINI_TOKENS
from nearfield.types.arrays import Floats, Positions
from nearfield.types.contract import Contract
from nearfield.types.item import Item, is_image_url
from nearfield.types.progress import Progress, silent
from nearfield.types.role import IMAGE, Role


class ImageVectors:
    """The vectors, of unit length, that `encoder` makes of the images of a run, by content.
    `seconds` is what it took for each that was kept.
    """

    seconds = 0.0

    def __init__(self, encoder: ImageEncoder) -> None:
        self.encoder = encoder
        self._rows: dict[bytes, int] = {}
        self._vectors = np.empty((0, encoder.contract.dim), np.float32)

    def keep(self, images: Sequence[str], place: Path, progress: Progress) -> None:
        """Encode the images, data URLs, or read what was made of them in the file `place`."""
        if not place.exists():
            made = self.encoder.encode(images, IMAGE, progress=progress)
            facts = {"seconds": repr(made.usage.seconds / max(1, len(images)))}
            noted_tensors(place, {"vectors": torch.from_numpy(made.floats())}, facts)
        vectors, facts = whole_tensors(place)
        self.seconds = float(facts["seconds"])
        self._add(images, vectors["vectors"].numpy())

    def of(self, images: Sequence[str]) -> Floats:
        """(n, width) of the images, those that are unknown encoded now."""
        new = [image for image in images if text_hash(image) not in self._rows]
        if new:
            self._add(new, self.encoder.encode(new, IMAGE).floats())
        made: Floats = self._vectors[[self._rows[text_hash(image)] for image in images]]
        return made

    def _add(self, images: Sequence[str], vectors: Floats) -> None:
        before = len(self._vectors)
        self._vectors = np.concatenate([self._vectors, vectors])
        self._rows |= {text_hash(image): before + at for at, image in enumerate(images)}


class AsItStands(Opened):
    """The joined model with the weights that it has now; its vectors are kept nowhere."""

    def __init__(self, model: TrainableJoined, text: TextEncoder, images: ImageVectors) -> None:
        self.model = model
        self.text = text
        self.made = images
        self.contract = model.folder.contract
        self.files = model.folder.path

    @classmethod
    def open(cls, folder: Any, options: Any) -> AsItStands:
        """Raises ModelError: a folder holds no model in training."""
        raise ModelError("a model in training is not opened from a folder")

    identity = None

    @property
    def roles_differ(self) -> bool:
        return self.text.roles_differ

    def encode_as(self, role: Role, items: Sequence[Item], *, progress: Progress = silent) -> Dense:
        """See Encoder.encode_as; the seconds are those of images that are encoded."""
        made = super().encode_as(role, items, progress=progress)
        images = sum(map(is_image_url, items))
        seconds = made.usage.seconds + images * self.made.seconds
        return replace(made, usage=replace(made.usage, seconds=seconds))

    def texts_as(self, role: Role, texts: Sequence[str]) -> Dense:
        """See Opened.texts_as."""
        return self.text.encode_as(role, texts)

    def images_as_vectors(self, items: Sequence[Item], places: Sequence[int]) -> Vectors:
        """See Opened.images_as_vectors."""
        if places:
            known = torch.from_numpy(self.made.of([items[at] for at in places]))
            with torch.inference_mode():
                made = self.model.project(known.to(self.model.device))
            yield list(places), made.cpu().numpy()


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


def made_batches(
    queries: Made | Tokens,
    documents: Made,
    contract: Contract,
    *,
    processes: int = 1,
    budget: int = 0,
) -> list[Any]:
    """The queries' mini-batches, one where they are made, and the documents, numbered after them,
    as one; see `mini_batches`.
    """
    if isinstance(queries, Made):
        parts: list[Any] = [queries]
        count = len(queries.items)
    else:
        parts = [*packed_batches(queries, budget or MINI_TOKENS)]
        count = len(queries.lengths)
    return [*parts, replace(documents, items=documents.items + count)]
