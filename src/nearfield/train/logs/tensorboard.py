"""TensorBoard's event files, in the run folder's `tensorboard`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from nearfield.extras import require
from nearfield.train.logs.log import Log


class TensorBoard(Log):
    """`tensorboard --logdir RUN/tensorboard` shows it."""

    def __init__(self, folder: Path) -> None:
        require("tensorboard", extra="tensorboard")
        self.folder = folder / "tensorboard"

    @cached_property
    def _writer(self) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.folder))

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        if "_writer" in vars(self):  # else no row was written
            self._writer.close()
