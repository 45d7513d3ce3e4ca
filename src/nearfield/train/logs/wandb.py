"""Weights & Biases, offline: nothing is sent before `wandb sync`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from nearfield.extras import require
from nearfield.train.logs.log import Log


class WandB(Log):
    """`wandb sync RUN/wandb/offline-run-*` sends it."""

    def __init__(self, folder: Path) -> None:
        self.package = require("wandb", extra="wandb")
        self.folder = folder

    @cached_property
    def _run(self) -> Any:
        return self.package.init(
            mode="offline", project="nearfield", name=self.folder.name, dir=str(self.folder)
        )

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        if "_run" in vars(self):  # else no row was written, and there is no run to end
            self._run.finish()
