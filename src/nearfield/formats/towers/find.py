"""Which layout the folder of a model of images has."""

from __future__ import annotations

import os
from pathlib import Path

from nearfield.formats.towers import TOWERS
from nearfield.formats.towers.towers import TowersLayout


def image_layout(path: Path) -> TowersLayout | None:
    """The layout of the folder at `path`, None where it holds no model of images."""
    if os.path.isdir(path):
        for name in TOWERS:
            if TOWERS[name].recognises(path):
                return TOWERS[name]
    return None
