"""EfficientNet-Lite's published weights, as model.safetensors without a config.json."""

from __future__ import annotations

from pathlib import Path

from nearfield.formats.images.image_folder import ImageLayout, ImageModel
from nearfield.formats.towers.towers import processor_settings
from nearfield.store.tensor_places import tensor_places

HEAD = "_conv_head.weight"
# As it was trained: values from -1 to 1, of the middle of the image; bicubic.
_PROCESSOR = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 256},
    "crop_size": {"height": 224, "width": 224},
    "image_mean": [127 / 255] * 3,
    "image_std": [128 / 255] * 3,
}


def _recognises(path: Path) -> bool:
    file = path / "model.safetensors"
    # told by a weight's name, as the published folder has nothing else that tells it
    if (path / "config.json").exists() or not file.is_file():
        return False
    return HEAD in tensor_places(file)


def _read(path: Path) -> ImageModel:
    width = tensor_places(path / "model.safetensors")[HEAD].shape[0]
    own = (path / "preprocessor_config.json").is_file()
    settings = processor_settings(path) if own else _PROCESSOR
    return ImageModel(path, "efficientnet-lite", "efficientnet-lite", width, settings)


LAYOUT = ImageLayout(_recognises, _read)
