"""Paths that a file names, kept inside the folder that the file lies in."""

from __future__ import annotations

import os
from pathlib import Path

from nearfield.errors import InputError


def inside(folder: Path, name: object, *, path: Path) -> Path:
    """The file or folder `name` in `folder`, where the file at `path` is what names it.

    `name` is whatever that file holds; "" and "." are the folder itself. A symbolic link that
    already lies in the folder may point elsewhere only if it is itself the named file (hub caches
    are built of such links); a folder may not, and a name may not leave by "..", by being absolute
    or through a linked folder. Raises InputError that names `path` where `name` is no text, is no
    possible file name, or leads outside.
    """
    if not isinstance(name, str) or not possible(name):
        raise InputError(
            f"names the file {repr(name)[:80]}; wanted the name of a file in its folder", path=path
        )
    joined = folder / name
    parent = joined.parent if Path(name).parts else joined
    root = folder.resolve()
    leads = [parent, joined] if joined.is_dir() else [parent]
    outside = Path(name).is_absolute() or ".." in Path(name).parts
    if outside or not all(place.resolve().is_relative_to(root) for place in leads):
        raise InputError(
            f"names {repr(name)[:80]}, which leads out of {folder}; nothing outside "
            "is read or written",
            path=path,
        )
    return joined


def possible(name: str) -> bool:
    """Whether a file can be called so: file systems take parts of up to 255 bytes, and systems
    paths of up to 4,096.
    """
    try:
        parts = [os.fsencode(part) for part in Path(name).parts]
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    short = all(len(part) <= 255 for part in parts) and sum(map(len, parts)) + len(parts) < 4096
    return short and "\0" not in name
