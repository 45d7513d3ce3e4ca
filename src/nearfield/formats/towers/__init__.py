"""What the files of each layout of models of images say, read without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfield.registry import Registry

if TYPE_CHECKING:
    from nearfield.formats.towers.towers import TowersLayout

TOWERS: Registry[TowersLayout] = Registry(
    "image model layout",
    {
        "joined": "nearfield.formats.towers.joined:LAYOUT",
        "open-clip": "nearfield.formats.towers.open_clip:LAYOUT",
        "transformers": "nearfield.formats.towers.hugging_face:LAYOUT",
        "images": "nearfield.formats.towers.images:LAYOUT",
    },
)
"""In the order in which a folder is tried by them."""
