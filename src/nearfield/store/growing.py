"""A file that grows at its end, and that a killed process can go on with."""

from __future__ import annotations

import os
from pathlib import Path

from nearfield.errors import StorageError


class GrowingFile:
    """The file at `path`, made when it is not there, cut to the `size` bytes that are known to be
    whole.

    Raises StorageError where it holds fewer. What the system says when writing fails is left an
    OSError, for the caller knows what the file is a part of: wrap the calls in `storage`.
    """

    def __init__(self, path: Path, *, size: int = 0) -> None:
        self.path = path
        self._file = open(path, "r+b" if path.exists() else "x+b", buffering=0)  # noqa: SIM115 - closed by close()
        held = os.fstat(self._file.fileno()).st_size
        if held < size:
            self._file.close()
            raise StorageError(
                f"{path}: holds {held:,} bytes and should hold {size:,}: it was "
                "cut off. Start over without it"
            )
        self._file.truncate(size)
        self._file.seek(size)

    @property
    def size(self) -> int:
        """Bytes written, the start included."""
        return self._file.tell()

    def append(self, data: bytes | memoryview) -> None:
        """Write `data` at the end."""
        rest = memoryview(data)
        while len(rest):  # the system may take a part
            rest = rest[self._file.write(rest) :]

    def sync(self) -> None:
        """All that was written is on the disk when this returns."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let go of the file; what was not synced may be lost with the machine's power."""
        self._file.close()
