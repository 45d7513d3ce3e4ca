"""Images changed at random, so that an image tower that learns sees none twice the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from numpy.random import Generator

from nearfield.extras import require

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST = 0.9  # of the area, as OpenCLIP crops
JITTER = 0.4


def crop(image: Image, draw: Generator) -> Image:
    """A part of .9 to all of the area, anywhere; what it leaves out is shared at random between
    width and height.

    Szegedy et al. 2015 (arXiv 1409.4842), section 6.
    """
    area = draw.uniform(LEAST, 1.0)
    share = area ** draw.random()
    width = max(1, round(image.width * share))
    height = max(1, round(image.height * area / share))
    left = int(draw.integers(image.width - width + 1))
    top = int(draw.integers(image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def flip(image: Image, draw: Generator) -> Image:
    """Left to right, one time in two."""
    if draw.random() < 0.5:
        return image
    mirrored: Image = require("PIL.ImageOps", extra="vision").mirror(image)
    return mirrored


def colour(image: Image, draw: Generator) -> Image:
    """Brightness, contrast and saturation each times .6 to 1.4.

    Chen et al. 2020 (arXiv 2002.05709), appendix A.
    """
    enhance = require("PIL.ImageEnhance", extra="vision")
    for change in (enhance.Brightness, enhance.Contrast, enhance.Color):
        image = change(image).enhance(draw.uniform(1 - JITTER, 1 + JITTER))
    return image


CHANGES: Final = {"crop": crop, "flip": flip, "colour": colour}


def augmented(image: Image, changes: Sequence[str], draw: Generator) -> Image:
    """The image with these changes, drawn in turn."""
    for name in changes:
        image = CHANGES[name](image, draw)
    return image
