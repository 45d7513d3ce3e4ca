"""A model by name or by folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nearfield.encoders.text import TextEncoder
from nearfield.errors import ModelError, nearest


def load_encoder(name: str | Path, *, runtime: str = "auto", precision: str = "float32", device: str = "auto") -> TextEncoder[Any]:
    """The encoder of a catalogued model (fetched when it is not there) or of a model folder.

    `runtime`, `precision` and `device` are as `TextEncoder.open` takes them. Raises ModelError for a name that is no model.
    """
    return TextEncoder.open(model_path(name), runtime=runtime, precision=precision, device=device)


def model_path(name: str | Path) -> Path:
    """The folder of the model called `name`: a catalogued one's in the cache, fetched when it is not there, or the folder itself.

    A name with a path separator, or of a folder that exists, is a folder. Raises ModelError for a name that is neither.
    """
    if Path(name).is_dir() or "/" in str(name):
        return Path(name)
    from nearfield.encoders.card import cards
    from nearfield.encoders.fetch import fetch

    known = cards()
    if str(name) not in known:
        raise ModelError(f"{name}: is neither a folder nor a model of the catalog ({', '.join(sorted(known))}).{nearest(str(name), known)}")
    return fetch(str(name))
