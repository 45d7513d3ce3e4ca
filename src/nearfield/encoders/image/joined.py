"""Texts by a model of texts, and images by one of images whose vectors are projected into its
space.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from nearfield.data.trained_on import TrainedOn
from nearfield.encoders.image.images import ImageEncoder, Opened, Vectors
from nearfield.encoders.text import TextEncoder
from nearfield.formats.towers.joined import JoinedFolder
from nearfield.models.heads.arrays import normalised
from nearfield.models.heads.layer import Layer
from nearfield.models.image.projection import open_projection
from nearfield.models.image.tower import ImageTower
from nearfield.runtimes.choose import open_runtime
from nearfield.runtimes.options import AUTO, OpenOptions
from nearfield.similarity.dense import Dense
from nearfield.types.item import Item
from nearfield.types.role import Role


class JoinedEncoder(Opened):
    """`text` encodes texts, as it does alone; an image's vector is what `projection` makes of that
    of `image`, at unit length.
    """

    def __init__(
        self, folder: JoinedFolder, text: TextEncoder, image: ImageEncoder, projection: Layer
    ) -> None:
        self.folder = folder
        self.contract = folder.contract
        self.text = text
        self.image = image
        self.projection = projection
        self.logits = folder.logits
        self.remember(folder.path, image.tower)

    @classmethod
    def open(cls, folder: Any, options: OpenOptions) -> JoinedEncoder:
        """Texts run as `options` say, images with torch in float32. Raises ModelError where a part
        cannot be opened or does not fit the others.
        """
        runtime, why = open_runtime(folder.text, options)
        text = TextEncoder(folder.text, runtime, why=why)
        device = options.device
        if device == AUTO:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        image = ImageEncoder(ImageTower(folder.image).to(device))
        return cls(folder, text, image, open_projection(folder))

    @property
    def identity(self) -> dict[str, str] | None:
        """The runtime and the precision are those of the texts."""
        own = super().identity
        # the image tower's weights are looked at above, the texts' by their own runtime
        texts = self.text.runtime.identity
        if own is None or texts is None:
            return None
        return own | texts

    @property
    def trained_on(self) -> TrainedOn:
        """What the folder says, and that of the texts' model."""
        return TrainedOn.read(self.files) | self.text.trained_on

    @property
    def roles_differ(self) -> bool:
        return self.text.roles_differ

    def texts_as(self, role: Role, texts: Sequence[str]) -> Dense:
        return self.text.encode_as(role, texts)

    def images_as_vectors(self, items: Sequence[Item], places: Sequence[int]) -> Vectors:
        for at, made in self.image.images_as_vectors(items, places):
            yield at, normalised(self.projection(made))
