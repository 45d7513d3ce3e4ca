"""A run folder: everything that a tuning run knows, each part written once, whole, when it is known."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from nearfield.errors import InputError
from nearfield.store.atomic import read_json, storage, write_json, write_text

T = TypeVar("T")


class RunFolder:
    """The folder of one run, made when it is not there. Raises StorageError where it can't be written."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with storage(self.path):
            (self.path / "checkpoints").mkdir(parents=True, exist_ok=True)
            for left in [*self.path.glob(".*.partial-*"), *(self.path / "checkpoints").glob(".*.partial-*")]:
                if left.is_file():
                    left.unlink()

    def has(self, name: str) -> bool:
        """Whether the part `name` ("merge.json", "model") is there, which means that it is whole."""
        return (self.path / name).exists()

    def read(self, name: str) -> Any:
        """The JSON part `name`."""
        return read_json(self.path / name)

    def write(self, name: str, value: Any) -> None:
        """Write the JSON part `name`, dataclasses as objects."""
        write_json(self.path / name, value)

    def once(self, name: str, make: Callable[[], T]) -> Any:
        """The JSON part `name`, made and written by `make` when it is not there; always as read back, so that a resumed run
        goes on from the very same values."""
        if not self.has(name):
            self.write(name, make())
        return self.read(name)

    def identify(self, name: str, facts: dict[str, Any]) -> None:
        """Write `facts` as part `name`, or check that they are the same as those that are there.

        Raises InputError that names what differs: the folder holds another run.
        """
        facts = json.loads(json.dumps(facts))
        if self.has(name):
            held = self.read(name)
            differing = sorted(key for key in {*facts, *held} if facts.get(key) != held.get(key))
            if differing:
                key = differing[0]
                what = f"{name} has another {', '.join(differing)} ({key}: {held.get(key)!r} there, {facts.get(key)!r} now)"
                raise InputError(f"holds another run: {what}; give another folder with --to, or remove this one", path=self.path)
        else:
            self.write(name, facts)

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

    def cut_training(self, step: int) -> None:
        """Drop the rows after `step`, and a half-written last row: a resumed run writes them again."""
        file = self.path / "training.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        whole = []
        for line in lines:
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            if row["step"] <= step:
                whole.append(line + "\n")
        write_text(file, "".join(whole))
