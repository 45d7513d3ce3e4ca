"""What every log of a run does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from nearfield.extras import require


class Log(ABC):
    """A log in a run's `folder`, where nothing is written before the first row. `package` is what
    writes it, and its own extra.
    """

    package: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.module = require(self.package, extra=self.package)

    @cached_property
    def writer(self) -> Any:
        """What the package writes with, opened with the first row."""
        return self.open()

    def row(self, row: Mapping[str, Any]) -> None:
        """Write the numbers of a row of training.jsonl at its step."""
        numbers = {}
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float):
                numbers[name] = float(value)
        self.write(int(row["step"]), numbers)

    def close(self) -> None:
        """Write what is left to write."""
        if "writer" in vars(self):  # else no row was written, and nothing was opened
            self.end()

    @abstractmethod
    def open(self) -> Any:
        """See `writer`."""

    @abstractmethod
    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write these numbers at this step."""

    @abstractmethod
    def end(self) -> None:
        """Close the writer."""
