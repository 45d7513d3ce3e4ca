"""Which model it is, whatever it is called and wherever it lies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path


def model_hash(folder: Path) -> str:
    """SHA-256, in hex, over the names and contents of a model folder's files, but for README.md and hidden ones."""
    digests: dict[Path, str] = {}
    for file in folder.rglob("*"):
        if file.is_file() and _counts(file.relative_to(folder)):
            with open(file, "rb") as opened:
                digests[file.relative_to(folder)] = hashlib.file_digest(opened, "sha256").hexdigest()
    return files_hash(digests)


def files_hash(digests: Mapping[Path, str]) -> str:
    """The `model_hash` of a folder that holds these files, each with its SHA-256 in hex."""
    total = hashlib.sha256()
    for name in sorted(filter(_counts, digests)):
        total.update(str(name).encode() + bytes.fromhex(digests[name]))
    return total.hexdigest()


def _counts(name: Path) -> bool:
    return name.name != "README.md" and not any(part.startswith(".") for part in name.parts)
