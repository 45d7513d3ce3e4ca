"""Vectors by their texts' hashes, kept so that an unchanged text is never encoded again."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sqlite3
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nearfield.errors import InputError, NearfieldWarning, StorageError
from nearfield.store.home import home
from nearfield.types.arrays import Integers
from nearfield.types.numbers import plural

T = TypeVar("T")

# raised when the file's layout changes, or what a vector depends on beside the facts that it is
# kept under
FORMAT = 2
LIMIT = "NEARFIELD_CACHE_GB"
DEFAULT_LIMIT = 10.0  # GB of all files together
HASH = 16  # bytes of a text's hash: two of 10^12 texts collide with a probability of 10^-15
_LONGEST = 86_400.0  # seconds that a text can take
_ROW = 192  # bytes that a row of both tables takes beside the vector, about
_ASKED = 500  # hashes in one query; SQLite takes at least 999 variables
_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS vectors (
    row INTEGER PRIMARY KEY, hash BLOB NOT NULL, vector BLOB NOT NULL, tokens INTEGER NOT NULL,
    lost INTEGER NOT NULL, prompt INTEGER NOT NULL, checksum INTEGER NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS by_hash ON vectors (hash);
CREATE TABLE IF NOT EXISTS times (
    hash BLOB NOT NULL, alone INTEGER NOT NULL, machine TEXT NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (hash, alone, machine)) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Found:
    """Vectors that were there: `items` (k,) which of the hashes asked for; `records`, the values of
    each as bytes; `counts` (k, 3) int64, the tokens read, lost, and of the prompt, of each text.
    """

    items: Integers
    records: list[bytes]
    counts: Integers


class VectorCache:
    """The vectors of one model in one use, in an SQLite file of their own.

    `facts` is all that a vector depends on beside its text: the hash of the model's files, prompt,
    precision, runtime. What is given back is, byte for byte, what was put in: a row that is not is
    dropped, and a file that is damaged is begun again, with a warning. Several processes may use
    one at once.
    """

    def __init__(self, path: Path, facts: Mapping[str, str], model: str = "") -> None:
        self.path = path
        self.full = False
        self.model = model
        self.facts = dict(facts)
        with _problems(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connect()
            self._whole(self._identify)

    @classmethod
    def open(
        cls, facts: Mapping[str, str], *, model: str = "", folder: Path | None = None
    ) -> VectorCache | None:
        """The cache for `facts` in `folder` ($NEARFIELD_HOME/vectors by default); None where the
        limit is 0.

        `model` is a name for people, which the vectors do not depend on. Raises StorageError where
        it cannot be used.
        """
        if limit_bytes() == 0:
            return None
        named = {"format": str(FORMAT)} | dict(facts)
        key = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:32]
        cache = cls((folder or vectors_folder()) / f"{key}.sqlite", named, model)
        os.utime(cache.path)  # what was used last goes last when there is no room
        return cache

    def _connect(self) -> None:
        self._base = sqlite3.connect(
            self.path, timeout=60, isolation_level=None, check_same_thread=False
        )

    def _identify(self) -> None:
        """Make the tables and note the facts. Raises sqlite3.DatabaseError where the file holds
        other facts.
        """
        # WAL: one writes while others read. NORMAL: a power cut loses what was written last, and
        # damages nothing. -8000: kilobytes
        self._base.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA "
            f"cache_size = -8000;{_TABLES}"
        )
        wanted = dict(self.facts)
        if self.model:
            wanted["model"] = self.model
        held = self._held()
        if not wanted.items() <= held.items():  # a write costs more than a look
            with self._transaction():
                # not replaced: facts that are there and differ are told below
                self._base.executemany(
                    "INSERT OR IGNORE INTO facts VALUES (?, ?)", self.facts.items()
                )
                if self.model:
                    self._base.execute(
                        "INSERT OR REPLACE INTO facts VALUES ('model', ?)", (self.model,)
                    )
                held = self._held()
        held.pop("model", None)
        if held != self.facts:
            raise sqlite3.DatabaseError("it is of other vectors")

    def _held(self) -> dict[str, str]:
        return dict(self._base.execute("SELECT name, value FROM facts"))

    def _whole(self, action: Callable[[], T]) -> T:
        """What `action` gives; where the file is damaged, what it gives of one that is
        begun again.
        """
        try:
            return action()
        except sqlite3.Error as error:
            if not _damaged(error):
                raise
            warnings.warn(
                f"{self.path}: the cache of vectors is damaged ({error}); it is made again",
                NearfieldWarning,
                stacklevel=4,
            )
        self._base.close()
        remove_file(self.path)
        self._connect()
        self._identify()
        return action()

    def find(self, hashes: Sequence[bytes]) -> Found:
        """The vectors that are there for `hashes`, in their order."""
        asked = "SELECT hash, checksum, vector, tokens, lost, prompt FROM vectors WHERE"
        with _problems(self.path):
            rows = self._whole(lambda: self._selected(asked, hashes))
        places = {key: at for at, key in enumerate(hashes)}
        found = {}
        damaged = []
        for key, checksum, blob, *numbers in rows:
            if key in places and checksum == _checksum(key, blob, numbers):
                found[places[key]] = (blob, numbers)
            else:
                damaged.append(key)
        if damaged:
            self._drop(damaged)
        items = sorted(found)
        records = [found[at][0] for at in items]
        counts = [found[at][1] for at in items]
        return Found(np.array(items, np.int64), records, np.array(counts, np.int64).reshape(-1, 3))

    def _selected(
        self, asked: str, hashes: Sequence[bytes], *more: object
    ) -> list[tuple[Any, ...]]:
        """The rows that the query `asked`, which ends where its conditions begin, finds of
        `hashes`.
        """
        rows = []
        for start in range(0, len(hashes), _ASKED):
            part = hashes[start : start + _ASKED]
            marks = ",".join("?" * len(part))
            rows += self._base.execute(f"{asked} hash IN ({marks})", [*more, *part]).fetchall()
        return rows

    def seconds(self, hashes: Sequence[bytes], *, alone: bool = False) -> dict[bytes, float]:
        """What it took to make each of `hashes` on this machine, as far as that is known: its share
        of all that were made with it, or `alone`, which is timed apart.
        """
        asked = "SELECT hash, seconds FROM times WHERE alone = ? AND machine = ? AND"
        with _problems(self.path):
            rows = self._whole(lambda: self._selected(asked, hashes, alone, this_machine()))
        # a time has no checksum: one that cannot be is dropped
        return {key: took for key, took in rows if isinstance(took, float) and 0 < took < _LONGEST}

    def add_seconds(self, seconds: Mapping[bytes, float], *, alone: bool = False) -> None:
        """Keep what it took to make each of these hashes on this machine."""
        rows = [(key, alone, this_machine(), took) for key, took in seconds.items()]

        def insert() -> None:
            with self._transaction():
                self._base.executemany("INSERT OR REPLACE INTO times VALUES (?, ?, ?, ?)", rows)

        with _problems(self.path):
            self._whole(insert)

    def _drop(self, damaged: Sequence[Any]) -> None:
        """Remove rows that are not as they were put in, so that their vectors are made and kept
        again.
        """
        vectors = plural(len(damaged), "cached vector")
        message = f"{self.path}: {vectors} with a wrong checksum; what is damaged is made again"
        warnings.warn(message, NearfieldWarning, stacklevel=4)
        with _problems(self.path), self._transaction():
            self._base.executemany(
                "DELETE FROM vectors WHERE hash = ?", [(key,) for key in damaged]
            )

    def add(
        self,
        hashes: Sequence[bytes],
        records: Sequence[bytes],
        counts: Integers,
        *,
        seconds: float = 0.0,
    ) -> None:
        """Keep the `records` and `counts` (n, 3) of the texts with `hashes`; all of them or, when
        killed, none. Making them took `seconds`, where that is known.

        Where there is no room, the files of other models that were not used for longest go first;
        where that does not help, nothing is kept and `full` is set.
        """
        if self.full or not self._room_for(sum(map(len, records)) + _ROW * len(hashes)):
            self.full = True
            return
        rows = []
        for key, blob, numbers in zip(hashes, records, counts.tolist(), strict=True):
            rows.append((key, blob, *numbers, _checksum(key, blob, numbers)))

        def insert() -> None:
            with self._transaction():
                self._base.executemany(
                    "INSERT OR IGNORE INTO vectors (hash, vector, tokens, lost, prompt, checksum) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    rows,
                )

        with _problems(self.path):
            self._whole(insert)
        if seconds:
            self.add_seconds(dict.fromkeys(hashes, seconds / len(hashes)))

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._base.execute("ROLLBACK")
            raise
        self._base.execute("COMMIT")

    def _room_for(self, size: int) -> bool:
        """Whether `size` more bytes are within the limit; other models' files are removed for
        it, unless that would not be enough.
        """
        limit = limit_bytes()
        own = _size(self.path) + size
        if own > limit:
            return False
        others = [kept for kept in kept_vectors(self.path.parent) if kept.path != self.path]
        total = own + sum(kept.size for kept in others)
        for oldest in sorted(others, key=lambda kept: kept.used):
            if total <= limit:
                break
            total -= oldest.size
            remove_file(oldest.path)
        return True


def text_hash(text: str) -> bytes:
    """BLAKE2b of a text's UTF-8: what the cache, and a vector folder's manifest, know it by."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=HASH).digest()


def this_machine() -> str:
    """The machine, and on how many threads it encodes: what a time depends on beside the work."""
    return f"{platform.node()}, {os.environ.get('OMP_NUM_THREADS') or os.cpu_count()} threads"


def _checksum(key: Any, blob: Any, numbers: Sequence[Any]) -> int:
    """CRC-32 of a row, which a flipped bit never leaves as it was; -1 of values that no row has."""
    if (
        not isinstance(key, bytes)
        or not isinstance(blob, bytes)
        or not all(isinstance(number, int) for number in numbers)
    ):
        return -1
    return zlib.crc32(f"{numbers}".encode(), zlib.crc32(blob, zlib.crc32(key)))


def _damaged(error: sqlite3.Error) -> bool:
    """Whether the file is no database, or not the one that was written; not that it is locked, or
    the disk full.
    """
    # the lower byte is the primary code, and SQLITE_ERROR what other tables in the file give
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass(frozen=True)
class Kept:
    """A file of the cache: its size in bytes, when it was last used (seconds since 1970)."""

    path: Path
    size: int
    used: float

    def facts(self) -> dict[str, str]:
        """What its vectors depend on, and `vectors`, how many there are. Raises StorageError where
        the file is damaged.
        """
        with _problems(self.path):
            base = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
            try:
                facts = dict(base.execute("SELECT name, value FROM facts"))
                (count,) = base.execute("SELECT count(*) FROM vectors").fetchone()
            finally:
                base.close()
        return facts | {"vectors": str(count)}


def remove_file(path: Path) -> None:
    """Remove a file of vectors. A process that has it open keeps what it has until it ends."""
    for end in ("", "-wal", "-shm"):  # what SQLite keeps beside it
        path.with_name(path.name + end).unlink(missing_ok=True)


def vectors_folder() -> Path:
    """Where the caches lie."""
    return home() / "vectors"


def kept_vectors(folder: Path | None = None) -> list[Kept]:
    """The files of the cache, by name."""
    paths = sorted((folder or vectors_folder()).glob("*.sqlite"))
    return [Kept(path, _size(path), path.stat().st_mtime) for path in paths]


def limit_bytes() -> int:
    """How much all caches together may take: $NEARFIELD_CACHE_GB, else 10 GB; 0 for no cache at
    all.

    Raises InputError where the variable is no number.
    """
    stated = os.environ.get(LIMIT)
    try:
        gigabytes = float(stated or DEFAULT_LIMIT)
    except ValueError:
        gigabytes = -1.0
    if not 0 <= gigabytes < float("inf"):
        raise InputError(f"{LIMIT} is {stated!r}; wanted a number of gigabytes, 0 for no cache")
    return int(gigabytes * 1e9)


def _size(path: Path) -> int:
    """Bytes of the file and of what SQLite has written beside it and not yet taken over."""
    files = [path, path.with_name(f"{path.name}-wal")]
    return sum(file.stat().st_size for file in files if file.exists())


@contextmanager
def _problems(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        advice = f"remove it, or do without: {LIMIT}=0"
        raise StorageError(
            f"{path}: the cache of vectors could not be used: {error}; {advice}"
        ) from error
