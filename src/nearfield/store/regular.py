"""Files that somebody else wrote, opened only if they are regular files and read only as far as
allowed.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
from pathlib import Path

from nearfield.errors import InputError

# bytes from which on a file with next to nothing on the disk is refused: reading it would take
# hours
SPARSE = 1 << 32
LARGEST_JSON = 1 << 30  # bytes; the largest tokenizer.json published is about 40 MB
_TEXTS = (".json", ".txt", ".model", ".jinja", ".py")


def open_regular(path: str | Path) -> io.BufferedReader:
    """The file at `path`, open for reading in binary.

    Raises InputError where it cannot be opened or is not a regular file: a FIFO or a device could
    block for ever or never end. So could one that claims a size of which next to nothing is on the
    disk.
    """
    try:
        # Without O_NONBLOCK, opening a FIFO waits for a writer. It makes no difference to a regular
        # file.
        handle = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        )
    except FileNotFoundError as error:
        raise InputError("does not exist; check the path", path=path) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"could not be read: {reason}", path=path) from error
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        os.close(handle)
        raise InputError(
            "is not a regular file; wanted a file of bytes, not a folder, FIFO or device", path=path
        )
    on_disk = 512 * getattr(about, "st_blocks", about.st_size)
    if about.st_size > SPARSE and 1000 * on_disk < about.st_size:
        os.close(handle)
        raise InputError(
            f"claims {about.st_size:,} bytes, of which {on_disk:,} are on the disk; "
            "such a file is empty space",
            path=path,
        )
    return os.fdopen(handle, "rb")


def read_bytes(path: str | Path, *, limit: int = LARGEST_JSON) -> bytes:
    """The content of the regular file at `path`. Raises InputError as `open_regular` does, or where
    it is over `limit` bytes.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise InputError(f"has {size:,} bytes; at most {limit:,} are read", path=path)
        return file.read()


def copy_regular(source: str | Path, to: str | Path) -> None:
    """Copy the content of a file of a model folder. Raises InputError as `open_regular` does."""
    with open_regular(source) as file, open(to, "wb") as copy:
        shutil.copyfileobj(file, copy)


def refuse_special(folder: Path) -> None:
    """Raise InputError where an entry of `folder` is a FIFO, a device or a socket, or a text too
    large to read: others may open them.
    """
    for file in folder.iterdir():
        try:
            found = file.stat()
        except (OSError, ValueError):
            continue  # a link that leads nowhere is as good as absent
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            raise InputError(
                "is not a regular file; wanted a file of bytes, not a FIFO or device", path=file
            )
        if file.suffix in _TEXTS and stat.S_ISREG(found.st_mode) and found.st_size > LARGEST_JSON:
            raise InputError(
                f"has {found.st_size:,} bytes; at most {LARGEST_JSON:,} are read", path=file
            )
