"""Converted collections, kept in the user's cache so that a source is read once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from nearfield.data.readers.lines import reading
from nearfield.errors import InputError, StorageError
from nearfield.store.atomic import staged_folder
from nearfield.store.home import home
from nearfield.store.kept import say_damaged
from nearfield.store.regular import open_regular

VERSION = 9  # of the readers: a change of what they make of a file raises it

Data = TypeVar("Data")


def files_key(kind: str, files: Iterable[Path]) -> str:
    """A key that changes with the files' places and contents, and with what is made of them.

    Contents and not times of change: a file may be written twice within the clock's grain, or with
    its old time set again, and hashing costs a tenth of reading a collection out of it. Raises
    InputError for a file that cannot be read.
    """
    parts = [f"{VERSION} {kind}"]
    for file in files:
        with reading(file), open_regular(file) as opened:
            parts.append(f"{file.resolve()} {hashlib.file_digest(opened, 'sha256').hexdigest()}")
    return text_key("\n".join(parts))


def text_key(text: str) -> str:
    """A short key for a text: 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def through_cache(
    key: Callable[[], str] | None,
    make: Callable[[Path | None], Data],
    *,
    open_folder: Callable[[Path], Data],
) -> Data:
    """What `make` writes into a folder, opened from the cache where it is already there, and whole,
    under the `key`.

    Where there is no key, or the cache cannot be written, `make(None)` makes it in memory. Raises
    InputError where the key is another once it is made.
    """
    if key is None:
        return make(None)
    before = key()
    folder = home() / "collections" / before
    if folder.is_dir():
        try:
            return open_folder(folder)
        except InputError as error:
            say_damaged(error)
    try:
        with staged_folder(folder) as stage:
            make(stage)
            # asked before the stage takes its place: nothing is kept under a key of other contents
            if key() != before:
                raise InputError("the source changed while it was read; open it again")
    except StorageError:  # a cache that cannot be written costs time and nothing else
        return make(None)
    return open_folder(folder)
