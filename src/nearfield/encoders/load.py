"""A model by name or by folder."""

from __future__ import annotations

from pathlib import Path

from nearfield.encoders.text import TextEncoder
from nearfield.errors import ModelError, nearest


def load_encoder(name: str | Path, *, precision: str = "float32") -> TextEncoder:
    """The encoder of a catalogued model (fetched when it is not there) or of a model folder.

    A name with a path separator, or of a folder that exists, is a folder. Raises ModelError for a name that is neither.
    """
    from nearfield.encoders.card import cards
    from nearfield.encoders.fetch import fetch

    if Path(name).is_dir() or "/" in str(name):
        return TextEncoder.open(name, precision=precision)
    known = cards()
    if str(name) not in known:
        raise ModelError(f"{name}: is neither a folder nor a model of the catalog ({', '.join(sorted(known))}).{nearest(str(name), known)}")
    return TextEncoder.open(fetch(str(name)), precision=precision)
