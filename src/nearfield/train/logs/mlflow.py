"""MLflow's database, in the run folder's `mlflow.db`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nearfield.train.logs.log import Log


class MLflow(Log):
    """`mlflow ui --backend-store-uri sqlite:///RUN/mlflow.db` shows it."""

    package = "mlflow"

    def open(self) -> Any:
        client = self.module.MlflowClient(f"sqlite:///{(self.folder / 'mlflow.db').resolve()}")
        found = client.get_experiment_by_name("nearfield")
        kept = found.experiment_id if found else client.create_experiment("nearfield")
        return client, str(client.create_run(kept, run_name=self.folder.name).info.run_id)

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        client, run = self.writer
        for name, value in numbers.items():
            client.log_metric(run, name, value, step=step)

    def end(self) -> None:
        client, run = self.writer
        client.set_terminated(run)
