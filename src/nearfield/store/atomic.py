"""Files and folders that are either whole or not there, whenever the process is killed or the disk
is full.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from nearfield.errors import InputError, NearfieldError, StorageError
from nearfield.store.exchange import abandoned, exchange, held

T = TypeVar("T")

_SPACE, _PLACE = "Free space or give another place", "Give another place"
_IN_THE_WAY = "Remove what is in the way or give another path"
_REASONS = {
    errno.ENOSPC: ("the disk is full", _SPACE),
    errno.EDQUOT: ("the disk quota is used up", _SPACE),
    errno.EFBIG: (
        "the file would be larger than this process may write",
        "Raise the limit (ulimit -f)",
    ),
    errno.EROFS: ("the file system is read-only", _PLACE),
    errno.EACCES: ("there is no permission to write there", _PLACE),
    errno.EPERM: ("there is no permission to write there", _PLACE),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", _IN_THE_WAY),
    errno.EEXIST: ("a part of the path is a file, not a folder", _IN_THE_WAY),
    errno.EISDIR: ("a folder of that name is there", _IN_THE_WAY),
    errno.ENAMETOOLONG: ("the name is too long", "Give a shorter one"),
}
_STAGED = re.compile(r"^\.(.+)\.partial-[^.]+$", re.DOTALL)  # a name may hold a line break


@contextlib.contextmanager
def storage(path: str | Path) -> Iterator[None]:
    """Turn an OSError raised while `path` is written into a StorageError that names it and what to
    do.
    """
    try:
        yield
    except OSError as error:
        # numpy's own OSError has no errno
        unknown = (error.strerror or f"the disk may be full ({error})", _SPACE)
        reason, advice = _REASONS.get(error.errno or 0, unknown)
        raise StorageError(
            f"{_final(path)}: could not be written: {reason}. {advice}; nothing "
            "was left half-written."
        ) from error


def check_writable(path: str | Path) -> None:
    """Raise StorageError now where nothing could be written at `path` after long work. Leaves
    nothing there.
    """
    path = Path(path)
    missing = [folder for folder in path.parents if not folder.exists()]
    with storage(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.rmdir(tempfile.mkdtemp(prefix=f".{path.name}.partial-", dir=path.parent))
        finally:
            for folder in missing:
                with contextlib.suppress(OSError):
                    folder.rmdir()


def check_new(path: str | Path) -> None:
    """Raise InputError where something other than an empty folder is at `path`, StorageError where
    nothing could be written there.
    """
    path = Path(path)
    if _taken(path):
        raise InputError("is there already; give another place", path=path)
    check_writable(path)


def check_replaceable(path: str | Path, *, marker: str, what: str) -> None:
    """Raise InputError where something is at `path` that is not `what`, which has the file
    `marker`: nothing else is ever replaced.

    Raises StorageError where nothing could be written there.
    """
    path = Path(path)
    if _taken(path) and not (path / marker).is_file():
        raise InputError(
            f"is there already and is not {what}, so that it is not replaced; give another place",
            path=path,
        )
    check_writable(path)


@contextlib.contextmanager
def staged_folder(path: str | Path) -> Iterator[Path]:
    """A new folder beside `path`, moved to `path` when the block ends well and removed when it does
    not.

    A folder that is already at `path` is replaced, in one step where the system can. Of several
    processes that write to one path at once, each one's folder is whole, and the last to end stays.
    Raises StorageError when writing fails.
    """
    path = _target(path)
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as locks:
            stage = _stage(path, locks, folder=True)
            try:
                yield stage
                move_folder(stage, path)
            finally:
                shutil.rmtree(stage, ignore_errors=True)


def move_folder(stage: Path, path: Path) -> None:
    """Move the finished folder `stage` to `path` on the same file system, where it replaces a
    folder that is there.

    What it replaces is then at `stage`, or gone.
    """
    with storage(path):
        os.chmod(stage, 0o755)  # mkdtemp makes folders that only their owner may enter
        # contents first: after a power cut the name must not lead to files that are empty
        _sync(stage)
        with _turn(path):
            _put_back(path)
            _replace_folder(stage, path)


@contextlib.contextmanager
def staged_file(path: str | Path) -> Iterator[Path]:
    """A new file name beside `path`, moved to `path` when the block ends well and removed when it
    does not.

    Raises StorageError when writing fails.
    """
    path = Path(path)
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as locks:
            stage = _stage(path, locks, folder=False)
            try:
                yield stage
                with open(stage, "rb") as written:
                    os.fsync(written.fileno())
                os.replace(stage, path)
            finally:
                stage.unlink(missing_ok=True)


def recover(path: str | Path) -> None:
    """Put back the folder that was at `path` where a process was killed after it took it away to
    replace it.
    """
    path = _target(path)
    if not path.exists() and path.parent.is_dir():
        with _turn(path), contextlib.suppress(OSError):
            _put_back(path)


def read_folder(path: str | Path, read: Callable[[Path], T]) -> T:
    """What `read` makes of the folder at `path`: of one folder, even where another takes its place
    while it is read.
    """
    path = Path(path)
    recover(path)
    while True:
        before = _identity(path)
        try:
            found = read(path)
        except NearfieldError:
            # in a folder that changed, files of two may have been read together
            if _identity(path) == before:
                raise
            continue
        if _identity(path) == before:
            return found


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with staged_file(path) as stage:
        stage.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` (dataclasses and paths allowed) as indented JSON, whole or not at all."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False, default=_plain)
    write_text(path, text + "\n")


def _taken(path: Path) -> bool:
    """Whether something other than an empty folder is at `path`."""
    if path.is_dir():
        return any(path.iterdir())
    return path.exists()


def _final(path: str | Path) -> Path:
    """`path` as it is called when it is whole: for a part of a staged folder, without the stage's
    name.
    """
    parts = [_STAGED.sub(r"\1", part) for part in Path(path).parts]
    return Path(*parts)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} does not go into JSON")


def _sync(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            with open(file, "rb") as written:
                os.fsync(written.fileno())


def _identity(path: Path) -> tuple[int, int] | None:
    """Which folder lies at `path`; None where none does."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _target(path: str | Path) -> Path:
    """`path`; of a symbolic link what it points to, so that the link stays and what it points to is
    replaced.
    """
    path = Path(path)
    if path.is_symlink():
        # unlike Path.resolve, this raises nothing for links that lead in a circle
        return Path(os.path.realpath(path))
    return path


def _turn(path: Path) -> contextlib.AbstractContextManager[None]:
    """The lock of the folder that `path` lies in; none in a stage, which this process alone writes
    to and has locked.
    """
    if _STAGED.match(path.parent.name):
        return contextlib.nullcontext()
    return held(path.parent)


def _stage(path: Path, locks: contextlib.ExitStack, *, folder: bool) -> Path:
    """A new folder or file beside `path`, locked until `locks` are left. What killed processes left
    there goes.
    """
    # under the folder's lock, so that no other process takes the stage for abandoned between its
    # being made and its being locked
    with _turn(path):
        _clear(path)
        prefix = f".{path.name}.partial-"
        if folder:
            stage = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
        else:
            stage = path.with_name(f"{prefix}{os.getpid()}-{os.urandom(4).hex()}")
            stage.touch(exist_ok=False)
        locks.enter_context(held(stage))
    return stage


def _clear(path: Path) -> None:
    """Remove what killed processes left of writing `path`. The lock of its folder is held."""
    for left in _beside(path, "partial"):
        if abandoned(left):
            _remove(left)
    _put_back(path)


def _put_back(path: Path) -> None:
    """Move what was taken away from `path` back where nothing has taken its place, else
    remove it.
    """
    for left in _beside(path, "old"):
        if not path.exists() and (left / path.name).is_dir():
            os.replace(left / path.name, path)
        _remove(left)


def _beside(path: Path, what: str) -> list[Path]:
    """What lies beside `path` under its name with `what` and a suffix, hidden by a leading dot."""
    prefix = f".{path.name}.{what}-"
    # not glob, for which a name may hold brackets and stars
    return sorted(path.parent / name for name in os.listdir(path.parent) if name.startswith(prefix))


def _remove(left: Path) -> None:
    if left.is_dir() and not left.is_symlink():
        shutil.rmtree(left, ignore_errors=True)
    else:
        left.unlink(missing_ok=True)


def _replace_folder(stage: Path, path: Path) -> None:
    if not path.is_dir():
        os.replace(stage, path)
        return
    if exchange(stage, path):
        return
    # Two steps, with nothing at `path` between them. A process that is killed there leaves the old
    # folder under a name that `_put_back` knows.
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old-", dir=path.parent))
    os.replace(path, old / path.name)
    os.replace(stage, path)
    shutil.rmtree(old, ignore_errors=True)
