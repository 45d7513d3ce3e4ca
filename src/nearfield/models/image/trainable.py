"""A joined model in training: the projection of images learns, and the towers that are named."""

from __future__ import annotations

from collections.abc import Collection as Names
from typing import Any

from torch import Tensor, nn

from nearfield.formats.towers.joined import PROJECTION, JoinedFolder
from nearfield.formats.towers.towers import IMAGE_TOWER, TEXT_TOWER
from nearfield.models.heads.layer import Layer
from nearfield.models.image.items import Made, Shown
from nearfield.models.image.projection import open_projection
from nearfield.models.image.tower import ImageTower
from nearfield.models.model import TextModel
from nearfield.models.trainable import Trainable

RATE = 20.0  # times the recipe's: a projection begins as random directions


class TrainableJoined(Trainable):
    """The projection of images learns, and each model that `towers` names: all of its weights, or
    its adapters where it has some.
    """

    objective = "symmetric"
    packs = False
    adapters = None  # those of the towers are among the parameters

    def __init__(
        self, folder: JoinedFolder, *, precision: str, device: str, towers: Names[str] = ()
    ) -> None:
        self.folder = folder
        self.towers = towers
        self.contract = folder.contract
        self.logits = folder.logits
        self.text = TextModel(folder.text, precision=precision, device=device)
        # until training says which weights learn, as of the image tower
        self.text.whole.requires_grad_(False)
        self.tower = ImageTower(folder.image).to(device)
        self.backbone = self.text.backbone
        self.device = self.text.device
        self.precision = self.text.precision
        self.head = self.text.head
        self.unused = self.text.unused
        self.queries = None
        self.projection: Layer = open_projection(folder)
        self.projection.train(self.device)
        self.rates = {f"{PROJECTION}.{name}": RATE for name in self.projection.weights}

    def parameters(self) -> dict[str, nn.Parameter]:
        named = {f"{PROJECTION}.{name}": part for name, part in self.projection.weights.items()}
        if TEXT_TOWER in self.towers:
            learning = self.text if self.text.adapters is None else self.text.adapters
            named |= learning.parameters()
        return named | self.image_weights()

    def image_weights(self) -> dict[str, nn.Parameter]:
        """Those that learn of the image tower, by name."""
        if IMAGE_TOWER not in self.towers:
            return {}
        own = dict(self.tower.network.named_parameters())
        if self.tower.adapters is not None:
            own = self.tower.adapters.parameters()
        return {f"{IMAGE_TOWER}.{name}": weight for name, weight in own.items()}

    def embed(self, batch: Any) -> Any:
        """(n, dim) of texts in a Packed, of images that are Shown, or of Made items."""
        if isinstance(batch, Shown):
            seen = self.tower.images(dict(batch.given))
            return self.project(nn.functional.normalize(seen, dim=-1))
        if not isinstance(batch, Made):
            return self.text.embed(batch)
        vectors = batch.vectors.to(self.device)
        return self.project(vectors) if batch.image else vectors

    def project(self, vectors: Tensor) -> Tensor:
        """(n, width) of images to (n, dim), of unit length."""
        made: Tensor = nn.functional.normalize(self.projection(vectors), dim=-1)
        return made
