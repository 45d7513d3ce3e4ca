"""What is encoded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from nearfield.types.role import IMAGE, Role

Item = Any
"""A text, as a string. For models of images and text also an image: its data URL as a string, a
path, the bytes of a file, a PIL image, or an array (see `open_image`).
"""
URL: Final = "data:image/"
"""What the text of an image begins with."""


def is_image_url(item: object) -> bool:
    """Whether the item is the data URL of an image, and so no text."""
    return isinstance(item, str) and item.startswith(URL)


def is_image(item: object, role: Role) -> bool:
    """Whether a model of images and text takes the item in this role for an image."""
    return role == IMAGE or not isinstance(item, str) or is_image_url(item)


def all_images(items: Iterable[object]) -> bool:
    """Whether each item is the data URL of an image."""
    return all(map(is_image_url, items))
