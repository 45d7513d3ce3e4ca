"""What the files of each layout of two-tower (image and text) models say, read without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfield.registry import Registry

if TYPE_CHECKING:
    from nearfield.formats.towers.towers import TowersLayout

TOWERS: Registry[TowersLayout] = Registry(
    "two-tower layout",
    {
        "open-clip": "nearfield.formats.towers.open_clip:LAYOUT",
        "transformers": "nearfield.formats.towers.hugging_face:LAYOUT",
    },
)
"""In the order in which a folder is tried by them."""
