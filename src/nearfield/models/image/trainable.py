"""A joined model in training: the image encoder is locked, its vectors are what is learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nearfield.formats.towers.joined import PROJECTION, JoinedFolder
from nearfield.models.heads.layer import Layer
from nearfield.models.image.projection import open_projection
from nearfield.models.model import TextModel
from nearfield.models.trainable import Trainable
from nearfield.types.arrays import Integers

RATE = 20.0  # times the recipe's: a projection begins as random directions


@dataclass(frozen=True)
class Made:
    """What a locked model made of n items: `vectors` (n, width). `ids` and `items` (n,) are as in
    Packed; `image`: they are yet to be projected.
    """

    ids: Integers
    items: Integers
    vectors: Tensor
    image: bool


class TrainableJoined(Trainable):
    """The projection of images learns, and the adapters of the texts' model where it has any."""

    objective = "symmetric"
    packs = False
    adapters = None  # those of `text` are among the parameters

    def __init__(self, folder: JoinedFolder, *, precision: str, device: str) -> None:
        self.folder = folder
        self.contract = folder.contract
        self.text = TextModel(folder.text, precision=precision, device=device)
        self.text.whole.requires_grad_(False)
        self.backbone = self.text.backbone
        self.device = self.text.device
        self.precision = self.text.precision
        self.head = self.text.head
        self.queries = None
        self.projection: Layer = open_projection(folder)
        self.projection.train(self.device)
        self.rates = {f"{PROJECTION}.{name}": RATE for name in self.projection.weights}

    def parameters(self) -> dict[str, nn.Parameter]:
        named = {f"{PROJECTION}.{name}": part for name, part in self.projection.weights.items()}
        adapters = self.text.adapters
        return named if adapters is None else named | adapters.parameters()

    def embed(self, batch: Any) -> Any:
        """(n, dim) of texts in a Packed, or of Made items."""
        if not isinstance(batch, Made):
            return self.text.embed(batch)
        vectors = batch.vectors.to(self.device)
        return self.project(vectors) if batch.image else vectors

    def project(self, vectors: Tensor) -> Tensor:
        """(n, width) of images to (n, dim), of unit length."""
        made: Tensor = torch.nn.functional.normalize(self.projection(vectors), dim=-1)
        return made
