"""Folders in the cache with the checksum of each file, and made again where one is not as it was
written.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from nearfield.errors import InputError, NearfieldWarning
from nearfield.store.atomic import staged_folder, write_json
from nearfield.store.fields import read_fields
from nearfield.store.regular import open_regular

CHECKSUMS: Final = ".checksums.json"
_BLOCK = 1 << 22  # bytes read at a time


def kept_folder(folder: Path, make: Callable[[Path], None]) -> Path:
    """The `folder` in the cache, made by `make` in a stage of it where it is not there or a file of
    it is damaged.

    Warns where it is damaged. Raises StorageError where it cannot be written.
    """
    if folder.is_dir():
        try:
            check_files(folder)
            return folder
        except InputError as error:
            say_damaged(error)
    with staged_folder(folder) as stage:
        make(stage)
        note_files(stage)
    return folder


def note_files(folder: Path) -> None:
    """Write the checksum of each file in `folder` beside them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [file.relative_to(folder).as_posix() for file in files]
    write_json(folder / CHECKSUMS, checksums(folder, names))


def check_files(folder: Path) -> None:
    """Raise InputError where a file of `folder` is not as `note_files` found it, or nothing was
    noted.
    """
    noted = read_fields(folder / CHECKSUMS)
    for name in noted:
        check_file(folder / name, noted.integer(name, high=2**32 - 1))


def check_file(path: Path, wanted: int) -> None:
    """Raise InputError where the file at `path` has another checksum than `wanted`."""
    if file_checksum(path) != wanted:
        raise InputError("is damaged: its checksum is not the one that was noted", path=path)


def checksums(folder: Path, names: Iterable[str]) -> dict[str, int]:
    """The checksum of each of these files in `folder`."""
    return {name: file_checksum(folder / name) for name in names}


def file_checksum(path: Path) -> int:
    """CRC-32 of the file: it tells damage, at some gigabytes a second, and not what somebody made
    to fit.
    """
    found = 0
    with open_regular(path) as file:
        while block := file.read(_BLOCK):
            found = zlib.crc32(block, found)
    return found


def say_damaged(error: InputError) -> None:
    """Warn that what the cache held is damaged and is made again."""
    warnings.warn(f"{error}; it is made again", NearfieldWarning, stacklevel=3)
