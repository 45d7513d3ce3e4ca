"""How models of images and text learn from images with their captions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfield.registry import Registry

if TYPE_CHECKING:
    from nearfield.train.images.kind import ImageTraining

IMAGE_TRAINING: Registry[ImageTraining] = Registry(
    "image model in training",
    {
        "joined": "nearfield.train.images.joined:KIND",
        "two-tower": "nearfield.train.images.two_tower:KIND",
    },
)
"""By the name of what opens the layout (see TowersLayout)."""
