"""What the files of each layout of image encoders say, read without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfield.registry import Registry

if TYPE_CHECKING:
    from nearfield.formats.images.image_folder import ImageLayout

IMAGE_MODELS: Registry[ImageLayout] = Registry(
    "image encoder layout",
    {
        "transformers": "nearfield.formats.images.pretrained:LAYOUT",
        "nomic-vision": "nearfield.formats.images.nomic_vision:LAYOUT",
        "efficientnet-lite": "nearfield.formats.images.efficientnet_lite:LAYOUT",
    },
)
"""In the order in which a folder is tried by them."""
