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
    # a file's own link may lead elsewhere, that of a folder on the way to it may not
    checked = [joined] if joined.is_dir() else []
    if joined != folder:
        checked.append(joined.parent)
    root = folder.resolve()
    outside = Path(name).is_absolute() or ".." in Path(name).parts
    if outside or not all(place.resolve().is_relative_to(root) for place in checked):
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
    longest = max(map(len, parts), default=0)
    whole = sum(map(len, parts)) + len(parts)  # with the slashes between them
    return longest <= 255 and whole < 4096 and "\0" not in name
