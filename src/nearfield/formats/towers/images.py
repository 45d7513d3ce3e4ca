"""Encoders of images alone."""

from __future__ import annotations

from nearfield.formats.images.image_folder import is_image_model, read_image_model
from nearfield.formats.towers.towers import TowersLayout

LAYOUT = TowersLayout(is_image_model, read_image_model, opens="images")
