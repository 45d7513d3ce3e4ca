"""A network for images with what prepares them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nearfield.extras import require
from nearfield.formats.images.image_folder import ImageModel
from nearfield.models.image import NETWORKS
from nearfield.models.image.network import Network
from nearfield.models.image.processor import UNFIT, image_processor
from nearfield.models.lora.attached import Attached, shared_by_all
from nearfield.store.foreign import foreign

if TYPE_CHECKING:
    from PIL.Image import Image


class ImageTower(torch.nn.Module):
    """The network of the folder, with the low-rank adapters of all images where it is given some.
    Raises ModelError where it cannot be opened.
    """

    adapters: Attached | None = None

    def __init__(self, folder: ImageModel) -> None:
        super().__init__()
        require("PIL.Image", extra="vision")
        self.folder = folder
        with foreign(folder.path, UNFIT):
            self.processor: Any = image_processor(folder.path, folder.processor)
            self.network: Network = NETWORKS[folder.layout](folder)
        self.network.eval().requires_grad_(False)  # until training says which weights learn

    def prepared(self, images: Sequence[Image]) -> dict[str, Tensor]:
        """What `images` takes: pixels (n, 3, height, width)."""
        with foreign(self.folder.path, UNFIT):
            return dict(self.processor(images=list(images), return_tensors="pt"))

    def images(self, prepared: dict[str, Tensor]) -> Tensor:
        """(n, width) float32, of any length."""
        device = next(self.network.parameters()).device
        pixels = prepared["pixel_values"].to(device)
        with foreign(self.folder.path, UNFIT), shared_by_all(self.adapters):
            made: Tensor = self.network(pixels)
        return made

    def weights(self) -> dict[str, Tensor]:
        """The network's, by name, with the adapters merged into them."""
        weights = self.network.state_dict()
        return weights if self.adapters is None else self.adapters.merged(weights, 0)
