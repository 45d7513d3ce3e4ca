"""A model with a tower for images and one for text, as its files describe it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nearfield.errors import ModelError
from nearfield.store.fields import Fields, read_fields
from nearfield.types.arrays import Floats
from nearfield.types.contract import Contract
from nearfield.types.role import IMAGE

State = Mapping[str, Any]  # tensors by name
NEAREST_CROP = "nearest_crop"
"""A setting of our own beside an image processor's: the corner of the crop is rounded, as
torchvision does, not cut off.
"""
# as recipes name them
TEXT_TOWER = "text"
IMAGE_TOWER = "image"


@dataclass(frozen=True)
class Towers:
    """`config` and `processor` are the settings of transformers' model and image processor, as
    their files would say. `pad_to`: texts are padded to so many tokens; None where padding changes
    nothing. `convert` makes transformers' weights of those in the file `weights`; None where they
    are in transformers' own files.
    """

    path: Path
    contract: Contract
    config: Mapping[str, Any]
    processor: Mapping[str, Any]
    pad_to: int | None = None
    weights: Path | None = None
    convert: Callable[[State], dict[str, Any]] | None = None


class Logits(NamedTuple):
    """What a model's loss makes of a cosine: `scale` times it, plus `bias`."""

    scale: float = 1.0
    bias: float = 0.0

    def of(self, scores: Floats) -> Floats:
        """The logits of cosines."""
        return scores * np.float32(self.scale) + np.float32(self.bias)


class TowersLayout(NamedTuple):
    """How one kind of folder is recognised and read, and the name in IMAGE_ENCODERS of the encoder
    that opens what was read.
    """

    recognises: Callable[[Path], bool]
    read: Callable[[Path], Any]
    opens: str = "two-tower"


def towers_contract(path: Path, *, dim: int, max_tokens: int) -> Contract:
    """Both towers pool into one vector of unit length, which is compared by cosine."""
    name = path.resolve().name
    return Contract(name, dim, max_tokens, pooling="last", prompts={IMAGE: ""})


def processor_settings(path: Path) -> Fields:
    """The settings of the image processor, which newer versions write into those of both. Raises
    ModelError where there are none.
    """
    alone = path / "preprocessor_config.json"
    both = path / "processor_config.json"
    if alone.is_file():
        return read_fields(alone)
    if both.is_file():
        found: Fields = read_fields(both).object("image_processor")
        return found
    raise ModelError(
        f"{path}: has no {alone.name}, which says how images are prepared; get it from where the "
        "model came from"
    )
