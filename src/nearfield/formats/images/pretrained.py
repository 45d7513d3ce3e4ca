"""Image encoders as transformers writes them."""

from __future__ import annotations

from pathlib import Path

from nearfield.formats.images.image_folder import ImageLayout, ImageModel
from nearfield.formats.remote_code import remote_code
from nearfield.formats.towers.towers import processor_settings
from nearfield.formats.weights import weight_files
from nearfield.store.fields import read_fields

FIRST_TOKEN = ("deit", "dinov2", "vit")
"""An image is the state of its first token; of the others, what the model pools."""
KINDS = (*FIRST_TOKEN, "convnext", "convnextv2", "resnet", "swin")


def _recognises(path: Path) -> bool:
    file = path / "config.json"
    return file.is_file() and read_fields(file).get("model_type") in KINDS


def _read(path: Path) -> ImageModel:
    config = read_fields(path / "config.json")
    remote_code(path, trusted=False)  # refuses code, which is never run here
    weight_files(path)  # refuses an index that names files outside the folder
    # a convolutional network states the channels of each stage, of which the last is pooled
    sizes = config.get("hidden_sizes")
    width = int(sizes[-1]) if isinstance(sizes, list) else config.integer("hidden_size", 768)
    kind = config.text("model_type")
    return ImageModel(path, "transformers", kind, width, processor_settings(path))


LAYOUT = ImageLayout(_recognises, _read)
