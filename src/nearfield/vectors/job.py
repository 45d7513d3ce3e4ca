"""The folder of a run that is not finished: what is done lies there, so that a run that was killed
goes on.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import logging
import shutil
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nearfield.data.arrow import digest, open_table
from nearfield.errors import InputError, NearfieldWarning
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.growing import Bounds, GrowingEmbeddings, whole_parts
from nearfield.store.atomic import staged_file, write_json
from nearfield.store.atomic import storage as writing
from nearfield.store.fields import read_json
from nearfield.store.growing import GrowingFile, unchanged
from nearfield.vectors.account import Account
from nearfield.vectors.manifest import SCHEMA
from nearfield.vectors.shards import Shard

log = logging.getLogger(__name__)
IDS, ARRAYS = "ids.jsonl", "arrays"
REPLACES = "replaces"  # there where the run may put its vectors in the place of others


@dataclass(frozen=True)
class Part:
    """What was made of a shard: a row each of the manifest, the embeddings and ids of those that
    did not fail, and the account.

    `bounds`, where they are wanted, are those of the embeddings.
    """

    manifest: pa.Table
    embeddings: Embeddings
    ids: list[str]
    account: Account
    bounds: Bounds


@dataclass(frozen=True)
class Mark:
    """How far a run was when a shard was done: what the shard's file says beside its manifest.

    `rows`, `items` (rows that have embeddings), `id_bytes` and `arrays` (rows of each file) count
    all shards up to this one, and `checksums` and `id_checksum` are of what they have written;
    `digest`, `manifest` (a digest, too), `account` and `bounds` are of this one.
    """

    digest: str
    rows: int
    items: int
    id_bytes: int
    arrays: dict[str, int]
    checksums: dict[str, int]
    id_checksum: int
    manifest: str
    account: Account
    bounds: Bounds

    def json(self) -> str:
        """The mark as text with its own checksum, float32 values exactly."""
        names = (
            "digest",
            "rows",
            "items",
            "id_bytes",
            "arrays",
            "checksums",
            "id_checksum",
            "manifest",
        )
        facts = {name: getattr(self, name) for name in names}
        bounds = {
            name: base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()
            for name, values in self.bounds.items()
        }
        text = json.dumps(facts | {"account": dataclasses.asdict(self.account), "bounds": bounds})
        return f"{zlib.crc32(text.encode()):08x}{text}"

    @classmethod
    def of_json(cls, text: str) -> Mark:
        """The mark in `text`. Raises ValueError where it is damaged."""
        known, text = text[:8], text[8:]
        if f"{zlib.crc32(text.encode()):08x}" != known:
            raise ValueError("its checksum is not the one that was noted")
        facts: dict[str, Any] = json.loads(text)
        coded = facts.pop("bounds")
        bounds = {
            name: np.frombuffer(base64.b64decode(values), "<f4").reshape(2, -1)
            for name, values in coded.items()
        }
        return cls(account=Account.of_json(facts.pop("account")), bounds=bounds, **facts)


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
    """Remove what an unfinished run to `path` left, so that the next begins anew."""
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
    """An unfinished run to the vector folder `path`, for one process at a time.

    `facts` is all that the vectors depend on beside the input; `empty` is embeddings of no item,
    stored as the parts will be. Use `opened`.
    """

    def __init__(self, path: Path, facts: dict[str, Any], *, empty: Embeddings) -> None:
        self.path, self.folder, self.shards = path, job_folder(path), job_folder(path) / "shards"
        self._identify(facts)
        for left in [*self.folder.glob(".*.partial-*"), *self.shards.glob(".*.partial-*")]:
            left.unlink()
        self.marks = self._whole_marks(empty)
        last = self.marks[-1] if self.marks else None
        with writing(path):
            rows, checksums = (last.arrays, last.checksums) if last else (None, None)
            self.arrays = GrowingEmbeddings(
                self.folder / ARRAYS, empty, rows=rows, checksums=checksums
            )
            self.ids = GrowingFile(self.folder / IDS, size=last.id_bytes if last else 0)
        if last:
            log.info(
                f"{path}: goes on after row {last.rows:,}, where it was interrupted ({self.folder})"
            )

    @classmethod
    @contextmanager
    def opened(
        cls, path: Path, facts: dict[str, Any], *, empty: Embeddings, replace: bool = False
    ) -> Iterator[Job]:
        """The job to `path`, begun or gone on with; when an error ends the block before a shard is
        done, nothing of it is left.

        Raises InputError where another process is at work on it, and where what is there was begun
        with other `facts`.
        """
        folder = job_folder(path)
        with writing(folder):
            for part in ("shards", ARRAYS):
                (folder / part).mkdir(parents=True, exist_ok=True)
        with _alone(folder, path):
            job = None
            try:
                if replace:
                    (folder / REPLACES).touch()
                job = cls(path, facts, empty=empty)
                yield job
            finally:
                if job is not None:
                    job.arrays.release()
                    job.ids.close()
                if not any((folder / "shards").glob("*.arrow")):
                    shutil.rmtree(folder, ignore_errors=True)

    def confirm(self, number: int, shard: Shard) -> None:
        """Raise InputError unless shard `number`, which is done, was made of these very rows."""
        if self.marks[number].digest != shard.digest:
            first, last = shard.rows[0].number, shard.rows[-1].number
            raise self._changed(
                f"rows {first:,} to {last:,} of the input are not those that were encoded"
            )

    def confirm_end(self, confirmed: int) -> None:
        """Raise InputError where the input ended when so many of the parts that are done were
        `confirmed`, and not all.
        """
        if confirmed < len(self.marks):
            raise self._changed(
                f"the input now ends before row {self.marks[-1].rows:,}, which was encoded"
            )

    def add(self, shard: Shard, part: Part) -> None:
        """Write what was made of the next shard; when this returns it is done, and when it is
        killed it is not.
        """
        with writing(self.path):
            self.arrays.append(part.embeddings)
            ids = "".join(json.dumps(name, ensure_ascii=False) + "\n" for name in part.ids).encode()
            self.ids.append(ids)
            self.arrays.sync()
            self.ids.sync()
        rows, items = (
            (self.marks[-1].rows if self.marks else 0) + len(shard.rows),
            self.items + len(part.embeddings),
        )
        mark = Mark(
            digest=shard.digest,
            rows=rows,
            items=items,
            id_bytes=self.ids.size,
            arrays=self.arrays.rows,
            checksums=self.arrays.checksums,
            id_checksum=zlib.crc32(ids, self.marks[-1].id_checksum if self.marks else 0),
            manifest=digest(part.manifest.cast(SCHEMA)),
            account=part.account,
            bounds=part.bounds,
        )
        schema = SCHEMA.with_metadata({"mark": mark.json()})
        with (
            staged_file(self.shards / f"{len(self.marks):08}.arrow") as stage,
            pa.ipc.new_file(str(stage), schema) as writer,
        ):
            writer.write_table(part.manifest.cast(schema))
        self.marks.append(mark)

    @property
    def replaces(self) -> bool:
        """See `replaces`."""
        return replaces(self.path)

    @property
    def items(self) -> int:
        """How many rows that are done have embeddings."""
        return self.marks[-1].items if self.marks else 0

    def manifest(self) -> Iterator[pa.Table]:
        """The manifest, a shard at a time."""
        for file in sorted(self.shards.glob("*.arrow")):
            with pa.OSFile(str(file)) as source:
                yield pa.ipc.open_file(source).read_all().replace_schema_metadata(None)

    def bounds(self) -> Bounds:
        """Those of all shards together."""
        both = {
            name: np.stack([mark.bounds[name] for mark in self.marks])
            for name in self.marks[-1].bounds
        }
        return {
            name: np.stack([each[:, 0].min(0), each[:, 1].max(0)]) for name, each in both.items()
        }

    def close(self) -> None:
        """Finish the files that grew."""
        with writing(self.path):
            self.arrays.close()
        self.ids.close()

    def _identify(self, facts: dict[str, Any]) -> None:
        """Write `facts`, or check that they are those that the run was begun with."""
        file = self.folder / "job.json"
        facts = json.loads(json.dumps(facts))
        if not file.is_file() or not any(self.shards.glob("*.arrow")):
            write_json(file, facts)
            return
        held = read_json(file)
        differing = [key for key in {**facts, **held} if facts.get(key) != held.get(key)]
        if differing:
            what = ", ".join(
                f"{key} was {held.get(key)!r} and is {facts.get(key)!r} now" for key in differing
            )
            raise InputError(
                f"an unfinished run to it was begun otherwise: {what}. Ask for the "
                f"same, or {self._anew}",
                path=self.path,
            )

    def _whole_marks(self, empty: Embeddings) -> list[Mark]:
        """The marks of the shards that are as they were written; those after the first that is not
        are dropped, and made again.
        """
        files = sorted(self.shards.glob("*.arrow"))
        marks: list[Mark] = []
        for file in files:
            mark = _whole_mark(file)
            if mark is None:
                break
            marks.append(mark)
        whole = whole_parts(
            self.folder / ARRAYS,
            empty,
            [mark.arrays for mark in marks],
            [mark.checksums for mark in marks],
        )
        ends, checksums = [mark.id_bytes for mark in marks], [mark.id_checksum for mark in marks]
        whole = min(whole, unchanged(self.folder / IDS, ends, checksums))
        if whole < len(files):
            message = (
                f"{self.path}: of the {len(files):,} shards that an unfinished run left, "
                f"number {whole + 1:,} is damaged"
            )
            warnings.warn(
                f"{message}; it and what follows it is made again", NearfieldWarning, stacklevel=2
            )
        for file in files[whole:]:
            file.unlink()
        return marks[:whole]

    def _changed(self, what: str) -> InputError:
        return InputError(
            f"an unfinished run to it was begun with another input: {what}. Give "
            f"that input, or {self._anew}",
            path=self.path,
        )

    @property
    def _anew(self) -> str:
        return (
            f"remove {self.folder} to begin anew (encode --restart does): unchanged texts then "
            "come from the cache"
        )


def _whole_mark(file: Path) -> Mark | None:
    """The mark of the shard in `file`, None where that is damaged."""
    try:
        table = open_table(file)
        mark = Mark.of_json(table.schema.metadata[b"mark"].decode())
        return mark if digest(table.replace_schema_metadata(None)) == mark.manifest else None
    except (InputError, TypeError, KeyError, ValueError, AttributeError):
        return None
