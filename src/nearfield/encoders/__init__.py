"""Texts and images to embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfield.registry import Registry

if TYPE_CHECKING:
    from nearfield.encoders.image.images import Opened

IMAGE_ENCODERS: Registry[type[Opened]] = Registry(
    "encoder of images",
    {
        "images": "nearfield.encoders.image.images:ImageEncoder",
        "joined": "nearfield.encoders.image.joined:JoinedEncoder",
        "two-tower": "nearfield.encoders.image.two_tower:TwoTowerEncoder",
    },
)
"""Each opens what a layout of nearfield.formats.towers reads."""
