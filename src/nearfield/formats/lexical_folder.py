"""How a folder says that it holds a bag of words."""

from __future__ import annotations

from pathlib import Path

FILE, FORMAT = "lexical.json", 1


def is_lexical(path: str | Path) -> bool:
    """Whether the folder at `path` holds a bag of words."""
    return (Path(path) / FILE).is_file()
