"""What is encoded."""

from __future__ import annotations

from typing import Any

Item = Any
"""A text, as a string. For models of images and text also an image: its data URL as a string, a
path, the bytes of a file, a PIL image, or an array (see `open_image`).
"""
