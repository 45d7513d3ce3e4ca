"""Weights & Biases, offline: nothing is sent before `wandb sync`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nearfield.train.logs.log import Log


class WandB(Log):
    """`wandb sync RUN/wandb/offline-run-*` sends it."""

    package = "wandb"

    def open(self) -> Any:
        return self.module.init(
            mode="offline", project="nearfield", name=self.folder.name, dir=str(self.folder)
        )

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        self.writer.log(dict(numbers), step=step)

    def end(self) -> None:
        self.writer.finish()
