"""The layer that takes an image's vector into the space of texts."""

from __future__ import annotations

from nearfield.errors import ModelError
from nearfield.formats.towers.joined import JoinedFolder
from nearfield.models.heads.layer import Layer


def open_projection(folder: JoinedFolder) -> Layer:
    """Raises ModelError where it is damaged, or does not lead from images to texts."""
    layer = Layer.open(folder.projection)
    found = (layer.config.in_features, layer.config.out_features)
    wanted = (folder.image.width, folder.text.contract.dim)
    if found != wanted:
        raise ModelError(f"{folder.projection}: is a layer {found}; wanted {wanted}")
    return layer
