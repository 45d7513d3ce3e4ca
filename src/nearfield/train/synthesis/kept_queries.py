"""What was written before, in the cache: one line of JSON per answer, only ever appended."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nearfield.errors import InputError
from nearfield.store.atomic import storage
from nearfield.store.home import home
from nearfield.train.synthesis.writer import Queries


class KeptQueries:
    """The queries that one writer wrote, in `path`, by the keys of their documents. A line that a
    killed process cut off, or that is damaged, is passed over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, Queries] = {}
        with storage(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with open(path, "rb") as file:
            for line in file:
                self.found.update(_read(line))

    @classmethod
    @contextmanager
    def of(cls, facts: Mapping[str, Any]) -> Iterator[KeptQueries]:
        """Those of the writer with these facts, for one process at a time. Raises InputError while
        another is at work on them.
        """
        from filelock import FileLock, Timeout

        stated = json.dumps(facts, sort_keys=True).encode()
        path = home() / "queries" / f"{hashlib.sha256(stated).hexdigest()[:32]}.jsonl"
        with storage(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        # two processes would pay for the same queries
        lock = FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                "another process writes queries in the same way; wait for it", path=path
            ) from error
        try:
            kept = cls(path)
            try:
                yield kept
            finally:
                os.close(kept._file)
        finally:
            lock.release()

    def add(self, some: Mapping[str, Queries]) -> None:
        """Keep them; when this returns they are on the disk, and when it is killed none of them
        is.
        """
        stated = json.dumps(some, ensure_ascii=False)
        content = f"\n{zlib.crc32(stated.encode('utf-8', 'surrogatepass')):08x} {stated}\n"
        with storage(self.path):
            # one write, behind a line break that ends what a killed process left
            os.write(self._file, content.encode("utf-8", "surrogatepass"))
            os.fsync(self._file)
        self.found.update(some)


def _read(line: bytes) -> dict[str, Queries]:
    """What a line holds; nothing where it is damaged."""
    checksum, _, stated = line.rstrip(b"\n").partition(b" ")
    if not stated or checksum != f"{zlib.crc32(stated):08x}".encode():
        return {}
    rows: dict[str, list[list[str]]] = json.loads(stated.decode("utf-8", "surrogatepass"))
    queries: dict[str, Queries] = {}
    for key, found in rows.items():
        queries[key] = [(style, text) for style, text in found]
    return queries
