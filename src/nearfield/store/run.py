"""A run folder: everything that a tuning run knows, each part written once, whole, when it is
known.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from nearfield.errors import InputError, NearfieldError
from nearfield.store.atomic import storage, write_json, write_text
from nearfield.store.fields import read_json
from nearfield.types.progress import Rows, no_rows

T = TypeVar("T")
_FACTS = ("environment", "split", "recipe", "data", "run", "doctor")
BEGUN = frozenset((".lock", "checkpoints", "start", *(f"{name}.json" for name in _FACTS)))
"""What a run writes before any of its work is done."""


class RunFolder:
    """The folder of one run, made when it is not there.

    Raises InputError for a folder that holds anything else, StorageError where it can't be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.told: Rows = no_rows  # each row of training
        refuse_foreign(self.path)
        missing = [each for each in (self.path, *self.path.parents) if not each.exists()]
        # the outermost of the folders that this makes
        self._made = missing[-1] if missing else None
        with storage(self.path):
            (self.path / "checkpoints").mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[RunFolder]:
        """This folder, for one process at a time; what a killed one left half-written is removed.
        Where the work ends in an error before anything of it was done, a folder that was made for
        it is removed.

        Raises InputError while another process is at work in it. The system releases the lock of a
        process that was killed.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                "is in use by another process; wait for it, or give another folder with --to",
                path=self.path,
            ) from error
        try:
            self._clear()
            yield self
        except NearfieldError:
            # first, as Windows removes no file that is open
            lock.release()
            if self._made is not None and {file.name for file in self.path.iterdir()} <= BEGUN:
                shutil.rmtree(self._made, ignore_errors=True)
            raise
        finally:
            lock.release()

    def _clear(self) -> None:
        """Remove what a killed process left half-written."""
        for pattern in (".*.partial-*", ".*.old-*", "checkpoints/.*.partial-*"):
            for left in self.path.glob(pattern):
                if left.is_dir():
                    shutil.rmtree(left)
                else:
                    left.unlink()

    def has(self, name: str) -> bool:
        """Whether the part `name` ("merge.json", "model") is there, which means that it is
        whole.
        """
        return (self.path / name).exists()

    def read(self, name: str) -> Any:
        """The JSON part `name`."""
        return read_json(self.path / name)

    def write(self, name: str, value: Any) -> None:
        """Write the JSON part `name`, dataclasses as objects."""
        write_json(self.path / name, value)

    def once(self, name: str, make: Callable[[], T]) -> Any:
        """The JSON part `name`, made and written by `make` when it is not there; always as read
        back, so that a resumed run goes on from the very same values.
        """
        if not self.has(name):
            self.write(name, make())
        return self.read(name)

    def identify(self, name: str, facts: dict[str, Any]) -> None:
        """Write `facts` as part `name`, or check that they are the same as those that are there.

        Raises InputError that names what differs: the folder holds another run.
        """
        facts = json.loads(json.dumps(facts))  # as they are read back: tuples are lists
        if not self.has(name):
            self.write(name, facts)
            return
        held = self.read(name)
        differing = sorted(key for key in {*facts, *held} if facts.get(key) != held.get(key))
        if differing:
            key = differing[0]
            what = (
                f"{name} has another {', '.join(differing)} ({key}: {held.get(key)!r} "
                f"there, {facts.get(key)!r} now)"
            )
            raise InputError(
                f"holds another run: {what}; give another folder with --to, or remove this one",
                path=self.path,
            )

    def restart_training(self, row: dict[str, Any]) -> None:
        """Begin training.jsonl with one row."""
        write_text(self.path / "training.jsonl", json.dumps(row) + "\n")

    def log_training(self, row: dict[str, Any]) -> None:
        """Add one row to training.jsonl."""
        file = self.path / "training.jsonl"
        with storage(file), open(file, "a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
            log.flush()
            os.fsync(log.fileno())
        self.told(row)

    def training(self) -> list[dict[str, Any]]:
        """The whole rows of training.jsonl; none where it is not there."""
        file = self.path / "training.jsonl"
        if not file.exists():
            return []
        whole = []
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:  # the last line, of a process that was killed
                continue
            if isinstance(row, dict):
                whole.append(row)
        return whole

    def dev_after(self, step: int) -> float | None:
        """What dev reached after `step`, as training.jsonl has it; None where it was not measured
        then.
        """
        for row in self.training():
            if row.get("step") == step and "dev" in row:
                return float(row["dev"])
        return None

    def cut_training(self, step: int) -> None:
        """Drop the rows after `step`, and a half-written last row: a resumed run writes
        them again.
        """
        lines = []
        for row in self.training():
            if row.get("step", step + 1) <= step:
                lines.append(json.dumps(row) + "\n")
        write_text(self.path / "training.jsonl", "".join(lines))


def refuse_foreign(folder: Path) -> None:
    """Raise InputError for a folder that holds anything else than a run."""
    if not folder.is_dir() or (folder / "environment.json").exists():
        return
    names = {file.name for file in folder.iterdir() if not file.name.startswith(".")}
    # a run that was killed before it wrote its first part made nothing else
    if names - {"checkpoints"}:
        raise InputError(
            "holds other files and no run; give a new or an empty folder with --to", path=folder
        )


def refuse_within(path: str | Path, *models: str | Path | None) -> None:
    """Raise InputError for a run folder within that of a model, whose files it would change."""
    inside = [Path(model).resolve() for model in models if model and Path(model).is_dir()]
    if any(map(Path(path).resolve().is_relative_to, inside)):
        raise InputError(
            "lies within the model's folder; give a run folder elsewhere with --to", path=path
        )
