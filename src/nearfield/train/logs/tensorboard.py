"""TensorBoard's event files, in the run folder's `tensorboard`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nearfield.train.logs.log import Log


class TensorBoard(Log):
    """`tensorboard --logdir RUN/tensorboard` shows it."""

    package = "tensorboard"

    def open(self) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.folder / "tensorboard"))

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self.writer.add_scalar(name, value, step)

    def end(self) -> None:
        self.writer.close()
