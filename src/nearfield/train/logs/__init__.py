"""Where each step of a training run is told as it is made, beside the run folder's own
training.jsonl.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nearfield.registry import Registry
from nearfield.types.progress import Rows, no_rows

if TYPE_CHECKING:
    from nearfield.train.logs.log import Log

_HERE = "nearfield.train.logs"

LOGS: Registry[Callable[[Path], Log]] = Registry(
    "log of a run",
    {
        "tensorboard": f"{_HERE}.tensorboard:TensorBoard",
        "wandb": f"{_HERE}.wandb:WandB",
        "mlflow": f"{_HERE}.mlflow:MLflow",
    },
)


@contextmanager
def logged(name: str, folder: Path) -> Iterator[Rows]:
    """What takes the rows of a run, for the log called `name`, none where that is empty.

    Raises InputError for an unknown name, MissingExtra where the log's package is not installed.
    """
    if not name:
        yield no_rows
        return
    log = LOGS[name](folder)
    try:
        yield log.row
    finally:
        log.close()
