"""MLflow's database, in the run folder's `mlflow.db`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from nearfield.extras import require
from nearfield.train.logs.log import Log


class MLflow(Log):
    """`mlflow ui --backend-store-uri sqlite:///RUN/mlflow.db` shows it."""

    def __init__(self, folder: Path) -> None:
        self.package = require("mlflow", extra="mlflow")
        self.folder = folder

    @cached_property
    def _client(self) -> Any:
        return self.package.MlflowClient(f"sqlite:///{(self.folder / 'mlflow.db').resolve()}")

    @cached_property
    def _run(self) -> str:
        found = self._client.get_experiment_by_name("nearfield")
        kept = found.experiment_id if found else self._client.create_experiment("nearfield")
        return str(self._client.create_run(kept, run_name=self.folder.name).info.run_id)

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._client.log_metric(self._run, name, value, step=step)

    def close(self) -> None:
        if "_run" in vars(self):  # else no row was written, and there is no run to end
            self._client.set_terminated(self._run)
