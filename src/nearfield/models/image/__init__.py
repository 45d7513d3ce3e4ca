"""Networks that make one vector per image, as torch runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfield.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from nearfield.formats.images.image_folder import ImageModel
    from nearfield.models.image.network import Network

NETWORKS: Registry[Callable[[ImageModel], Network]] = Registry(
    "image network",
    {
        "efficientnet-lite": "nearfield.models.image.efficientnet_lite:open_network",
        "nomic-vision": "nearfield.models.image.nomic_vision:open_network",
        "transformers": "nearfield.models.image.pretrained:open_network",
    },
)
"""By the name of the folder's layout: what opens its weights as a module that makes (n, width) of
what the image processor gives.
"""
