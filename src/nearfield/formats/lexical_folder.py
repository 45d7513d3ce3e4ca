"""How a folder says that it holds a bag of words."""

from __future__ import annotations

import os
from pathlib import Path

FILE, FORMAT = "lexical.json", 1


def is_lexical(path: str | Path) -> bool:
    """Whether the folder at `path` holds a bag of words."""
    return os.path.isfile(os.path.join(path, FILE))
