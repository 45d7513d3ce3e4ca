"""The folder of a run that is not finished: what is done lies there, so that a run that was killed
continues.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nearfield.errors import InputError, NearfieldWarning
from nearfield.similarity.embeddings import OFFSETS, Embeddings
from nearfield.store.atomic import staged_file, write_json
from nearfield.store.atomic import storage as writing
from nearfield.store.fields import read_json
from nearfield.vectors.account import Account
from nearfield.vectors.manifest import SCHEMA
from nearfield.vectors.shards import Shard

log = logging.getLogger(__name__)
REPLACES = "replaces"  # there where the run may put its vectors in the place of others
MANIFEST, MARK = "manifest", "mark"
"""Members of a shard's file beside its arrays: the manifest as an Arrow stream, and the mark as
JSON.
"""


@dataclass(frozen=True)
class Part:
    """What was made of a shard: a row each of the manifest, the embeddings of those rows that did
    not fail, and the account.
    """

    manifest: pa.Table
    embeddings: Embeddings
    account: Account


@dataclass(frozen=True)
class Mark:
    """What a shard's file says of it: the digest of its rows, how many rows each of its arrays has,
    and the account.
    """

    digest: str
    arrays: dict[str, int]
    account: Account


def job_folder(path: Path) -> Path:
    """Where a run that writes to `path` keeps what is done until it is finished: hidden,
    beside it.
    """
    return path.parent / f".{path.name}.encode"


def replaces(path: Path) -> bool:
    """Whether the unfinished run to `path`, where there is one, was begun to replace whatever lies
    there.
    """
    return (job_folder(path) / REPLACES).is_file()


def forget_job(path: Path) -> None:
    """Remove what an unfinished run to `path` left, so that the next starts over."""
    shutil.rmtree(job_folder(path), ignore_errors=True)


def restart_job(path: Path) -> None:
    """As `forget_job`. Raises InputError where another process is at work on the run, whose shards
    would then mix with those to come.
    """
    folder = job_folder(path)
    if folder.is_dir():
        with _alone(folder, path):
            forget_job(path)


@contextmanager
def _alone(folder: Path, path: Path) -> Iterator[None]:
    """Hold the lock of the job in `folder`. Raises InputError where another process does."""
    from filelock import FileLock, Timeout

    # the system's own lock, which ends with the process: after a kill it keeps nobody out
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            "is being written by another process; wait for it, or give another place", path=path
        ) from error
    try:
        yield
    finally:
        lock.release()


class Job:
    """An unfinished run to the vector folder `path`, for one process at a time: one file for each
    shard that is done, whole or not there, with zip's checksums.

    `facts` is all that the vectors depend on beside the input. Use `opened`.
    """

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self.path = path
        self.folder = job_folder(path)
        self.shards = job_folder(path) / "shards"
        self._identify(facts)
        for left in self.shards.glob(".*.partial-*"):  # of a killed process; the lock is held
            left.unlink()
        self.replaces = replaces(path)
        self.marks = self._whole_marks()
        self.account = Account()
        for mark in self.marks:
            self.account = self.account.plus(mark.account)
        if self.marks:
            log.info(
                f"{path}: goes on after row {self.account.rows:,}, where it was interrupted "
                f"({self.folder})"
            )

    @classmethod
    @contextmanager
    def opened(cls, path: Path, facts: dict[str, Any], *, replace: bool = False) -> Iterator[Job]:
        """The job to `path`, new or continued; when an error ends the block before a shard is done,
        nothing of it is left.

        Raises InputError where another process is at work on it, and where what is there was begun
        with other `facts`.
        """
        folder = job_folder(path)
        with writing(folder):
            (folder / "shards").mkdir(parents=True, exist_ok=True)
        with _alone(folder, path):
            try:
                # on the disk, so that the same call may go on after a kill without saying it again
                if replace:
                    (folder / REPLACES).touch()
                yield cls(path, facts)
            finally:
                # nothing is done that the next run could go on from
                if not any((folder / "shards").glob("*.npz")):
                    shutil.rmtree(folder, ignore_errors=True)

    def confirm(self, number: int, shard: Shard) -> None:
        """Raise InputError unless shard `number`, which is done, was made of these very rows."""
        if self.marks[number].digest != shard.digest:
            first = shard.rows[0].number
            last = shard.rows[-1].number
            raise self._changed(
                f"rows {first:,} to {last:,} of the input are not those that were encoded"
            )

    def refuse_end(self) -> None:
        """Raise InputError: the input has ended before all that was done of it."""
        raise self._changed(
            f"the input now ends before row {self.account.rows:,}, which was encoded"
        )

    def add(self, shard: Shard, part: Part) -> None:
        """Write what was made of the next shard; when this returns it is done, and when it is
        killed it is not.
        """
        arrays = part.embeddings.arrays()
        rows = {name: len(array) for name, array in arrays.items()}
        mark = Mark(shard.digest, rows, part.account)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, SCHEMA) as stream:
            stream.write_table(part.manifest)
        said = json.dumps(dataclasses.asdict(mark)).encode()
        # all in one file, so that no part of it is there without the others
        members: dict[str, Any] = {
            MANIFEST: np.frombuffer(sink.getvalue(), np.uint8),
            MARK: np.frombuffer(said, np.uint8),
            **arrays,
        }
        with (
            staged_file(self.shards / f"{len(self.marks):08}.npz") as stage,
            writing(self.path),
            open(stage, "wb") as file,
        ):
            np.savez(file, **members)
        self.marks.append(mark)
        self.account = self.account.plus(part.account)

    @property
    def files(self) -> list[Path]:
        """The files of the shards that are done, in order."""
        return sorted(self.shards.glob("*.npz"))

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each array of all shards together has."""
        # all shards have the same arrays; there is one at least, as `_refuse_nothing` has made sure
        totals = {}
        for name in self.marks[0].arrays:
            totals[name] = sum(mark.arrays[name] for mark in self.marks)
            if Path(name).name == OFFSETS:  # which begin with a 0 in each shard
                totals[name] -= len(self.marks) - 1
        return totals

    def manifest(self) -> Iterator[pa.Table]:
        """The manifest, a shard at a time."""
        for file in self.files:
            with np.load(file) as members:
                yield pa.ipc.open_stream(pa.py_buffer(members[MANIFEST].tobytes())).read_all()

    def _identify(self, facts: dict[str, Any]) -> None:
        """Write `facts`, or check that they are those that the run was begun with."""
        file = self.folder / "job.json"
        facts = json.loads(json.dumps(facts))  # as they are read back: a tuple is a list
        # without a shard nothing was made under the facts that stand there
        if not file.is_file() or not self.files:
            write_json(file, facts)
            return
        held = read_json(file)
        differing = [key for key in facts | held if facts.get(key) != held.get(key)]
        if differing:
            what = ", ".join(
                f"{key} was {held.get(key)!r} and is {facts.get(key)!r} now" for key in differing
            )
            raise InputError(
                f"an unfinished run to it was begun otherwise: {what}. Ask for the "
                f"same, or {self._over}",
                path=self.path,
            )

    def _whole_marks(self) -> list[Mark]:
        """The marks of the shards that are as they were written; those from the first that is not
        are dropped, and made again.
        """
        # the manifests count vectors through, so that a shard behind a lost one cannot be kept
        files = self.files
        marks: list[Mark] = []
        for number, file in enumerate(files):
            mark = _whole_mark(file)
            # one that is missing leaves a gap in the numbers
            if mark is None or file.stem != f"{number:08}":
                break
            marks.append(mark)
        if len(marks) < len(files):
            warnings.warn(
                f"{self.path}: of the {len(files):,} shards that an unfinished run left, number "
                f"{len(marks) + 1:,} is damaged; it and what follows it is made again",
                NearfieldWarning,
                stacklevel=2,
            )
        for file in files[len(marks) :]:
            file.unlink()
        return marks

    def _changed(self, what: str) -> InputError:
        return InputError(
            f"an unfinished run to it was begun with another input: {what}. Give "
            f"that input, or {self._over}",
            path=self.path,
        )

    @property
    def _over(self) -> str:
        return (
            f"remove {self.folder} to start over (encode --restart does): unchanged texts then "
            "come from the cache"
        )


def _whole_mark(file: Path) -> Mark | None:
    """The mark of the shard in `file`, None where any of it is damaged."""
    try:
        with zipfile.ZipFile(file) as archive:
            # np.load compares a member's checksum only where it reads it: here all of them are read
            if archive.testzip() is not None:
                return None
        with np.load(file) as members:
            facts: dict[str, Any] = json.loads(members[MARK].tobytes())
        return Mark(**(facts | {"account": Account.of_json(facts["account"])}))
    # zip and NumPy each raise their own for a damaged file
    except Exception:
        return None
