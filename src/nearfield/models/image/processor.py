"""What prepares images for a model: transformers' own image processors, on pillow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearfield.errors import ModelError

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

    kind = str(
        settings.get("image_processor_type")
        or settings.get("feature_extractor_type", "CLIPImageProcessor")
    )
    name = kind.removesuffix("Fast").removesuffix("Pil")
    name = _FORMER.get(name, name)
    if name not in KNOWN:
        raise ModelError(f"{path}: prepares images with {kind}; wanted one of {', '.join(KNOWN)}")
    return getattr(transformers, f"{name}Pil").from_dict(dict(settings))
