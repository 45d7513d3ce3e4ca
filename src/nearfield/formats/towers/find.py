"""Which layout the folder of a model of images and text has."""

from __future__ import annotations

import os
from pathlib import Path

from nearfield.errors import ModelError
from nearfield.formats.towers import TOWERS
from nearfield.formats.towers.towers import Towers


def is_two_tower(path: Path) -> bool:
    """Whether the folder at `path` holds a model of images and text."""
    return os.path.isdir(path) and any(TOWERS[name].recognises(path) for name in TOWERS)


def read_towers(path: Path) -> Towers:
    """What the folder says. Raises ModelError where it is no such model's, or lacks a file."""
    for name in TOWERS:
        if TOWERS[name].recognises(path):
            return TOWERS[name].read(path)
    raise ModelError(f"{path}: is not the folder of a model of images and text")
