"""nomic-embed-vision's published layout. Its config names code, which is not run: models/image has
what that computes.
"""

from __future__ import annotations

from pathlib import Path

from nearfield.errors import ModelError
from nearfield.formats.images.image_folder import ImageLayout, ImageModel
from nearfield.formats.towers.towers import processor_settings
from nearfield.store.fields import read_fields

KIND = "NomicVisionModel"
# Where one of these is set otherwise, that code computes something else.
_SETTINGS = {
    "activation_function": "swiglu",
    "prenorm": True,
    "use_rotary_pos_emb": True,
    "norm_mlp": True,
    "learned_pos_embedding": False,
    "no_embed_class": False,
    "no_cls_token": False,
    "causal": False,
}


def _recognises(path: Path) -> bool:
    file = path / "config.json"
    stated = read_fields(file).get("architectures") if file.is_file() else None
    return isinstance(stated, list) and KIND in stated


def _read(path: Path) -> ImageModel:
    file = path / "config.json"
    config = read_fields(file)
    for name, wanted in _SETTINGS.items():
        if config.get(name, wanted) != wanted:
            raise ModelError(f"{file}: {name} is {config[name]!r}; wanted {wanted!r}")
    width = config.integer("n_embd")
    return ImageModel(path, "nomic-vision", KIND, width, processor_settings(path))


LAYOUT = ImageLayout(_recognises, _read)
