"""A network for images with what prepares them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nearfield.extras import require
from nearfield.formats.images.image_folder import ImageModel
from nearfield.models.image import NETWORKS
from nearfield.models.image.processor import UNFIT, image_processor
from nearfield.store.foreign import foreign

if TYPE_CHECKING:
    from PIL.Image import Image


class ImageTower(torch.nn.Module):
    """The network of the folder. Raises ModelError where it cannot be opened."""

    def __init__(self, folder: ImageModel) -> None:
        super().__init__()
        require("PIL.Image", extra="vision")
        self.folder = folder
        with foreign(folder.path, UNFIT):
            self.processor: Any = image_processor(folder.path, folder.processor)
            self.network = NETWORKS[folder.layout](folder).eval().requires_grad_(False)

    def prepared(self, images: Sequence[Image]) -> dict[str, Tensor]:
        """What `images` takes: pixels (n, 3, height, width)."""
        with foreign(self.folder.path, UNFIT):
            return dict(self.processor(images=list(images), return_tensors="pt"))

    def images(self, prepared: dict[str, Tensor]) -> Tensor:
        """(n, width) float32, of any length."""
        device = next(self.network.parameters()).device
        with foreign(self.folder.path, UNFIT):
            made: Tensor = self.network(prepared["pixel_values"].to(device))
        return made
