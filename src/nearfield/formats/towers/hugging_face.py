"""CLIP, SigLIP and SigLIP2 as transformers writes them."""

from __future__ import annotations

from pathlib import Path

from nearfield.formats.towers.towers import (
    Towers,
    TowersLayout,
    processor_settings,
    towers_contract,
)
from nearfield.store.fields import read_fields

PADDED = ("siglip", "siglip2")
"""Their last token is pooled and padding is not masked: they were trained on 64 tokens, always."""
KINDS = ("clip", *PADDED)


def _recognises(path: Path) -> bool:
    file = path / "config.json"
    # sentence-transformers' CLIP folders keep the model in a folder of their own
    return file.is_file() and read_fields(file).get("model_type") in KINDS


def _read(path: Path) -> Towers:
    config = read_fields(path / "config.json")
    text = config.object("text_config", {})
    padded = config["model_type"] in PADDED
    # the defaults are those of transformers' configurations
    max_tokens = text.integer("max_position_embeddings", 64 if padded else 77)
    if padded:
        # SigLIP projects texts alone, and to the size of its states where nothing is said
        dim = text.integer("projection_size", text.integer("hidden_size", 768))
    else:
        dim = config.integer("projection_dim", 512)
    return Towers(
        path,
        towers_contract(path, dim=dim, max_tokens=max_tokens),
        config,
        processor_settings(path),
        pad_to=max_tokens if padded else None,
    )


LAYOUT = TowersLayout(_recognises, _read)
