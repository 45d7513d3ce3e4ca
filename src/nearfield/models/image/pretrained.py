"""transformers' image encoders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from nearfield.errors import ModelError
from nearfield.formats.images.image_folder import ImageModel
from nearfield.formats.images.pretrained import FIRST_TOKEN
from nearfield.models.backbones.backbone import (
    from_files,
    quiet,
    refuse_unusable,
    write_backbone,
)
from nearfield.models.backbones.unread import some_of
from nearfield.models.image.network import Network
from nearfield.models.image.processor import UNFIT
from nearfield.store.fields import read_fields
from nearfield.store.foreign import foreign


class Pretrained(Network):
    """An image's vector is its first token's state, or what the model pools itself."""

    def __init__(self, model: Any, *, first_token: bool) -> None:
        super().__init__()
        if first_token:
            model.pooler = None  # it comes after, and nothing reads or trains it
        self.model = model
        self.first_token = first_token

    def forward(self, pixel_values: Tensor) -> Tensor:
        """(n, width) float32."""
        made = self.model(pixel_values=pixel_values)
        pooled = made.last_hidden_state[:, 0] if self.first_token else made.pooler_output
        vectors: Tensor = pooled.flatten(1).float()
        return vectors

    def save(self, folder: Path, weights: Mapping[str, Tensor]) -> None:
        """See Network.save."""
        own = {name.removeprefix("model."): weight for name, weight in weights.items()}
        write_backbone(self.model, folder, weights=own)


def open_network(folder: ImageModel) -> Pretrained:
    """Raises ModelError where files are missing or damaged, or weights do not fit."""
    from transformers import AutoModel

    refuse_unusable(read_fields(folder.path / "config.json"), folder.path)
    with foreign(folder.path, UNFIT), quiet():
        model, report = from_files(AutoModel, folder.path)
    first_token = folder.kind in FIRST_TOKEN
    missing = sorted(report["missing_keys"])
    if first_token:  # a pooler after it is not read
        missing = [name for name in missing if not name.startswith("pooler.")]
    if missing:
        raise ModelError(f"{folder.path}: the weights lack {some_of(missing)}")
    return Pretrained(model, first_token=first_token)
