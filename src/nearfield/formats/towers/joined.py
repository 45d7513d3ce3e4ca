"""Any encoder of texts with any encoder of images, whose vectors are projected into its space."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from nearfield.errors import ModelError
from nearfield.formats.images.image_folder import ImageModel, read_image_model
from nearfield.formats.model_folder import ModelFolder, read_model_folder
from nearfield.formats.towers.towers import Logits, TowersLayout
from nearfield.store.fields import read_fields
from nearfield.store.inside import inside
from nearfield.types.contract import Contract
from nearfield.types.role import IMAGE

FILE = "joined.json"
TEXT = "text"
IMAGES = "image"
PROJECTION = "projection"
FORMAT = 1


@dataclass(frozen=True)
class JoinedFolder:
    """`text` and `image` are the folders of the two models as they are published, `projection` that
    of a sentence-transformers Dense module, which takes an image's unit vector to a text's size.
    `logits` are those of the loss that it was trained with.
    """

    path: Path
    text: ModelFolder
    image: ImageModel
    projection: Path
    logits: Logits

    @property
    def contract(self) -> Contract:
        """The text model's, which has the role image besides."""
        kept = self.text.contract
        name = self.path.resolve().name
        return replace(kept, name=name, prompts={**kept.prompts, IMAGE: ""})


def _read(path: Path) -> JoinedFolder:
    stated = read_fields(path / FILE)
    if stated.integer("format") != FORMAT:
        raise ModelError(f"{path / FILE}: format is {stated.integer('format')}; wanted {FORMAT}")
    text = read_model_folder(inside(path, TEXT, path=path / FILE))
    image = read_image_model(inside(path, IMAGES, path=path / FILE))
    projection = inside(path, PROJECTION, path=path / FILE)
    logits = Logits(stated.number("logit_scale", 1.0), stated.number("logit_bias", 0.0))
    return JoinedFolder(path, text, image, projection, logits)


LAYOUT = TowersLayout(lambda path: (path / FILE).is_file(), _read, opens="joined")
