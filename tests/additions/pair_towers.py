"""A layout of two towers: CLIP's settings in pair.json, its weights with a prefix."""

from __future__ import annotations

from pathlib import Path

from nearfield.formats.towers.towers import (
    Towers,
    TowersLayout,
    processor_settings,
    towers_contract,
)
from nearfield.store.fields import read_fields

FILE = "pair.json"


def _recognises(path: Path) -> bool:
    return (path / FILE).is_file()


def _read(path: Path) -> Towers:
    config = read_fields(path / FILE)
    return Towers(
        path,
        towers_contract(path, dim=config.integer("projection_dim"), max_tokens=12),
        config,
        processor_settings(path),
        weights=path / "pair.safetensors",
        convert=lambda state: {name.removeprefix("pair."): part for name, part in state.items()},
    )


LAYOUT = TowersLayout(_recognises, _read)
