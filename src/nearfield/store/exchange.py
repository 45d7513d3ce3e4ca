"""Two folders that change places in one step, and the lock under which a folder's entries are
replaced.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # Linux: flag of renameat2
_RENAME_SWAP = 2  # macOS: flag of renamex_np
# what a kernel, and what a file system without this step answers
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)


def exchange(one: Path, other: Path) -> bool:
    """Give each path what lies at the other, so that no process ever finds nothing at either.

    Returns False, with nothing changed, where the system or the file system has no such step.
    Raises OSError where it has and it fails.
    """
    swap = _system_call()
    if swap is None:
        return False
    if swap(os.fsencode(one), os.fsencode(other)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(other))


@functools.cache
def _system_call() -> Callable[[bytes, bytes], int] | None:
    """What exchanges two paths and returns 0 where that went well; None where this system has no
    such call.
    """
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            mac: Any = library.renamex_np
            mac.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint)
            return lambda one, other: int(mac(one, other, _RENAME_SWAP))
        linux: Any = library.renameat2
    except (OSError, AttributeError, TypeError):
        return None
    linux.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return lambda one, other: int(linux(_AT_FDCWD, one, _AT_FDCWD, other, _RENAME_EXCHANGE))


@contextlib.contextmanager
def held(place: Path) -> Iterator[None]:
    """Hold the lock of the folder or file at `place`; the system takes it back from a process that
    was killed.

    The lock is on the place itself, so that no file of its own is left behind. Where the system or
    the file system has no such locks, nothing is held.
    """
    handle = _open(place)
    try:
        _lock(handle, wait=True)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def abandoned(place: Path) -> bool:
    """Whether the process that held the lock of `place` has ended. False where that cannot
    be told.
    """
    handle = _open(place)
    if handle is None:
        return False
    try:
        return _lock(handle, wait=False)
    finally:
        os.close(handle)


def _open(place: Path) -> int | None:
    if sys.platform == "win32":
        return None
    try:
        # O_NONBLOCK: where a FIFO took the name, opening it would wait for a writer
        return os.open(place, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None


def _lock(handle: int | None, *, wait: bool) -> bool:
    if handle is None:
        return False
    import fcntl  # not on Windows, where no handle is opened

    how = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
    try:
        fcntl.flock(handle, how)
    # another process holds it, or the file system (NFS) has no lock for what is only read
    except OSError:
        return False
    return True
