"""Images and texts by one checkpoint with a tower for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from nearfield.encoders.collect import warn_of_truncation
from nearfield.encoders.image.images import Opened, Vectors, seen, torch_device, unit
from nearfield.models.image.items import Written
from nearfield.models.two_tower import TwoTower
from nearfield.runtimes.options import OpenOptions
from nearfield.similarity.dense import Dense
from nearfield.types.item import Item
from nearfield.types.role import Role
from nearfield.types.usage import Usage

_BATCH = 32  # texts of one call


class TwoTowerEncoder(Opened):
    """A model of images and text.

    A string is a text, but for the data URL of an image; a path, the bytes of a file, a PIL image
    and an array are images. In the role image a string is a path.
    """

    def __init__(self, model: TwoTower) -> None:
        self.model = model
        self.contract = model.folder.contract
        self.logits = model.logits
        self.remember(model.folder.path, model)

    @classmethod
    def open(cls, folder: Any, options: OpenOptions) -> TwoTowerEncoder:
        """Raises ModelError where it cannot be opened, and for another runtime than torch."""
        return cls(TwoTower(folder).to(torch_device(folder.path, options)))

    def tokenise(self, texts: Sequence[str], *, role: Role, max_tokens: int) -> Written:
        """The texts as `model` takes them in training, which knows no role."""
        given = self.model.tokenised(texts, max_tokens=max_tokens)
        return Written(np.arange(len(texts)), given)

    def texts_as(self, role: Role, texts: Sequence[str]) -> Dense:
        lengths = np.array(self.model.count(texts))
        read = np.minimum(lengths, self.contract.max_tokens)
        counts = np.stack([read, lengths - read], 1)
        parts = []
        with torch.inference_mode():
            for start in range(0, len(texts), _BATCH):
                parts.append(unit(self.model.texts(texts[start : start + _BATCH])))
        warn_of_truncation(Usage.counted(counts), self.contract, "texts")
        return Dense.under(self.contract, np.concatenate(parts), counts=counts)

    def images_as_vectors(self, items: Sequence[Item], places: Sequence[int]) -> Vectors:
        return seen(self.model, items, places)
