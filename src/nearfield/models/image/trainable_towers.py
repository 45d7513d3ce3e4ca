"""A checkpoint of two towers in training: those that are named learn."""

from __future__ import annotations

from collections.abc import Collection as Names
from typing import Any

from torch import nn
from torch.nn.functional import normalize

from nearfield.formats.towers.towers import IMAGE_TOWER, TEXT_TOWER, Towers
from nearfield.models.heads.dense import DenseHead
from nearfield.models.image.items import Made, Written
from nearfield.models.trainable import Trainable
from nearfield.models.two_tower import TwoTower

PARTS = {
    TEXT_TOWER: ("text_model.", "text_projection."),
    IMAGE_TOWER: ("vision_model.", "visual_projection."),
}
"""What the names of a tower's weights begin with."""


class TrainableTowers(Trainable):
    """`tower` is the model, of which each tower that `towers` names learns: all weights, or its
    adapters where it has some. The loss's temperature and bias are learned beside it.
    """

    objective = "symmetric"
    packs = False
    adapters = None  # those of the towers are among the parameters
    queries = None
    precision = "float32"

    def __init__(self, folder: Towers, *, device: str, towers: Names[str]) -> None:
        self.folder = folder
        self.towers = towers
        self.contract = folder.contract
        self.tower = TwoTower(folder).to(device)
        # the trainer turns it on again for those of `parameters` that learn
        self.tower.requires_grad_(False)
        self.logits = self.tower.logits
        self.backbone = self.tower.model
        self.device = self.tower.model.device
        self.head = DenseHead(folder.contract)
        self.rates: dict[str, float] = {}

    def parameters(self) -> dict[str, nn.Parameter]:
        named: dict[str, nn.Parameter] = {}
        for tower in self.towers:
            named |= self.weights_of(tower)
        return named

    def weights_of(self, tower: str) -> dict[str, nn.Parameter]:
        """Those of a tower that learn where it does, by name."""
        if tower in self.tower.adapters:
            adapters = self.tower.adapters[tower].parameters()
            return {f"{tower}.{name}": weight for name, weight in adapters.items()}
        named = self.tower.model.named_parameters()
        return {name: weight for name, weight in named if name.startswith(PARTS[tower])}

    def embed(self, batch: Any) -> Any:
        """(n, dim) of texts that are Written, of images that are Shown, or of Made items."""
        if isinstance(batch, Made):
            return batch.vectors.to(self.device)
        if isinstance(batch, Written):
            return normalize(self.tower.written(dict(batch.given)), dim=-1)
        return normalize(self.tower.images(dict(batch.given)), dim=-1)

    def project(self, vectors: Any) -> Any:
        """An image's vector is in the space of texts as it is."""
        return vectors
