"""Which model it is, whatever it is called and wherever it lies."""

from __future__ import annotations

import hashlib
from pathlib import Path


def model_hash(folder: Path) -> str:
    """SHA-256, in hex, over the names and contents of a model folder's files, but for README.md and hidden ones."""
    total = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        name = file.relative_to(folder)
        if name.name != "README.md" and not any(part.startswith(".") for part in name.parts):
            with open(file, "rb") as opened:
                total.update(str(name).encode() + hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()
