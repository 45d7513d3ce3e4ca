"""What the files of each layout of two-tower (image and text) models say, read without torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nearfield.errors import ModelError
from nearfield.registry import Registry

if TYPE_CHECKING:
    from nearfield.formats.towers.towers import Towers, TowersLayout

TOWERS: Registry[TowersLayout] = Registry(
    "two-tower layout",
    {
        "open-clip": "nearfield.formats.towers.open_clip:LAYOUT",
        "transformers": "nearfield.formats.towers.hugging_face:LAYOUT",
    },
)
"""In the order in which a folder is tried by them."""


def is_two_tower(path: Path) -> bool:
    """Whether the folder at `path` holds a model of images and text."""
    return os.path.isdir(path) and any(TOWERS[name].recognises(path) for name in TOWERS)


def read_towers(path: Path) -> Towers:
    """What the folder says. Raises ModelError where it is no such model's, or lacks a file."""
    for name in TOWERS:
        if TOWERS[name].recognises(path):
            return TOWERS[name].read(path)
    raise ModelError(f"{path}: is not the folder of a model of images and text")
