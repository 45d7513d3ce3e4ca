"""What every log of a run does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any


class Log(ABC):
    """A log in a run's folder, where nothing is written before the first row."""

    def row(self, row: Mapping[str, Any]) -> None:
        """Write the numbers of a row of training.jsonl at its step."""
        numbers = {}
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float):
                numbers[name] = float(value)
        self.write(int(row["step"]), numbers)

    @abstractmethod
    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write these numbers at this step."""

    @abstractmethod
    def close(self) -> None:
        """Write what is left to write."""
