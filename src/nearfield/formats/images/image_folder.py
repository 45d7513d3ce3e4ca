"""An encoder of images alone, as its files describe it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nearfield.errors import ModelError
from nearfield.formats.images import IMAGE_MODELS
from nearfield.types.contract import Contract
from nearfield.types.role import IMAGE


@dataclass(frozen=True)
class ImageModel:
    """`layout` is its name in IMAGE_MODELS and `kind` its architecture; an image has `width`
    numbers. `processor` are the settings of transformers' image processor.
    """

    path: Path
    layout: str
    kind: str
    width: int
    processor: Mapping[str, Any]

    @property
    def contract(self) -> Contract:
        """One vector of unit length per image, compared by cosine; there are no tokens."""
        name = self.path.resolve().name
        return Contract(name, self.width, 1, prompts={IMAGE: ""})


class ImageLayout(NamedTuple):
    """How one kind of folder is recognised and read."""

    recognises: Callable[[Path], bool]
    read: Callable[[Path], ImageModel]


def is_image_model(path: Path) -> bool:
    """Whether the folder at `path` holds an encoder of images alone."""
    return _layout(path) is not None


def read_image_model(path: Path) -> ImageModel:
    """What the folder says. Raises ModelError where it is no such model's, or lacks a file."""
    layout = _layout(path)
    if layout is None:
        raise ModelError(f"{path}: is not the folder of an encoder of images")
    return layout.read(path)


def _layout(path: Path) -> ImageLayout | None:
    if path.is_dir():
        for name in IMAGE_MODELS:
            if IMAGE_MODELS[name].recognises(path):
                return IMAGE_MODELS[name]
    return None
