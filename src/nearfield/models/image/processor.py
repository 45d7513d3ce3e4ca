"""What prepares images for a model: transformers' own image processors, on pillow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.errors import ModelError
from nearfield.formats.towers.towers import NEAREST_CROP

UNFIT = "cannot be opened or run as its files say"
# what a file may name is of these alone
KNOWN = (
    "CLIPImageProcessor",
    "SiglipImageProcessor",
    "Siglip2ImageProcessor",
    "ViTImageProcessor",
    "DeiTImageProcessor",
    "BitImageProcessor",
    "ConvNextImageProcessor",
)
# as files of 2022 call them
_FORMER = {
    "CLIPFeatureExtractor": "CLIPImageProcessor",
    "ViTFeatureExtractor": "ViTImageProcessor",
    "DeiTFeatureExtractor": "DeiTImageProcessor",
    "ConvNextFeatureExtractor": "ConvNextImageProcessor",
}


def image_processor(path: Path, settings: Mapping[str, Any]) -> Any:
    """The processor of the kind that `settings`, those of the folder `path`, name. Raises
    ModelError for an unknown one.
    """
    import transformers

    former = settings.get("feature_extractor_type", "CLIPImageProcessor")
    kind = str(settings.get("image_processor_type") or former)
    name = kind.removesuffix("Fast").removesuffix("Pil")
    name = _FORMER.get(name, name)
    # before it is looked up: a file may not choose any name of transformers
    if name not in KNOWN:
        raise ModelError(f"{path}: prepares images with {kind}; wanted one of {', '.join(KNOWN)}")
    # transformers' processors on pillow; its others want torchvision
    made = getattr(transformers, f"{name}Pil").from_dict(dict(settings))
    if settings.get(NEAREST_CROP):
        made.center_crop = _nearest_crop
    if made.do_rescale and made.do_normalize:
        _look_up(made)
    return made


def _nearest_crop(image: Any, size: Any) -> Any:
    top = round((image.shape[1] - size.height) / 2)
    left = round((image.shape[2] - size.width) / 2)
    return image[:, top : top + size.height, left : left + size.width]


def _look_up(processor: Any) -> None:
    """Have the processor look its values up, which are 256 per channel: bit for bit what its own
    two steps make of a pixel, in a third of their time.
    """
    # an image of one column, in which each channel has every value once
    every = np.arange(256, dtype=np.uint8)[None, :, None]
    levels = np.broadcast_to(every, (3, 256, 1))
    scaled = processor.rescale(levels, processor.rescale_factor)
    normed = processor.normalize(scaled, processor.image_mean, processor.image_std)
    table = normed[:, :, 0]  # (channels, 256)

    def looked_up(image: Any, mean: object, std: object) -> Any:
        return np.stack([row.take(pixels) for row, pixels in zip(table, image, strict=True)])

    processor.rescale = lambda image, scale: image
    processor.normalize = looked_up
