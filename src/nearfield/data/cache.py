"""Converted collections, kept in the user's cache so that a source is read once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from nearfield.errors import InputError, StorageError
from nearfield.store.atomic import staged_folder
from nearfield.store.home import home

VERSION = 3  # of the readers: a change of what they make of a file raises it

Data = TypeVar("Data")


def files_key(kind: str, files: Iterable[Path]) -> str:
    """A key that changes with the files' places, sizes and times of change, and with what is made of them."""
    parts = [f"{VERSION} {kind}"]
    for file in files:
        about = file.stat()
        parts.append(f"{file.resolve()} {about.st_size} {about.st_mtime_ns}")
    return text_key("\n".join(parts))


def text_key(text: str) -> str:
    """A short key for a text: 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def through_cache(key: str, make: Callable[[Path | None], Data], *, open_folder: Callable[[Path], Data]) -> Data:
    """What `make` writes into a folder, opened from the cache where it is already there under `key`.

    Where the cache cannot be written, `make(None)` makes it in memory.
    """
    folder = home() / "collections" / key
    if folder.is_dir():
        try:
            return open_folder(folder)
        except InputError:
            pass  # damaged: made again below
    try:
        with staged_folder(folder) as stage:
            make(stage)
    except StorageError:
        return make(None)
    return open_folder(folder)
