"""Paths that a file names, kept inside the folder that the file lies in."""

from __future__ import annotations

from pathlib import Path

from nearfield.errors import InputError


def inside(folder: Path, name: object, *, path: Path) -> Path:
    """The file or folder `name` in `folder`, where the file at `path` is what names it.

    `name` is whatever that file holds; "" and "." are the folder itself. A symbolic link that already
    lies in the folder may point elsewhere only if it is itself the named file (hub caches are built of
    such links); a name may not leave the folder by "..", by being absolute or through a linked folder.
    Raises InputError that names `path` where `name` is no text, is no possible file name, or leads outside.
    """
    if not isinstance(name, str) or "\0" in name:
        raise InputError(f"names the file {name!r}; wanted the name of a file in its folder", path=path)
    joined = folder / name
    parent = joined.parent if Path(name).parts else joined
    root = folder.resolve()
    outside = Path(name).is_absolute() or ".." in Path(name).parts or not parent.resolve().is_relative_to(root)
    if outside:
        raise InputError(f"names {name!r}, which leads out of {folder}; nothing outside is read or written", path=path)
    return joined
