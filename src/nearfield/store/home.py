"""Where fetched models and built collections are kept."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """$NEARFIELD_HOME, else nearfield in $XDG_CACHE_HOME, else ~/.cache/nearfield. Not made
    here.
    """
    chosen = os.environ.get("NEARFIELD_HOME")
    if chosen:
        return Path(chosen).expanduser()
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(caches).expanduser() / "nearfield"


def models_folder() -> Path:
    """The folder that holds each fetched model in a folder of its name."""
    return home() / "models"
