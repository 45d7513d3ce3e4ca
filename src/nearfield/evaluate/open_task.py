"""Data to the task that it is for."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nearfield.data.collection import Collection
from nearfield.data.doctor.examine import examine
from nearfield.data.open import open_data, recognise
from nearfield.data.pairs import Pairs
from nearfield.data.record import SPLIT_NAMES
from nearfield.errors import InputError, NearfieldWarning
from nearfield.evaluate.task import DEFAULT, Options, Task
from nearfield.evaluate.tasks import TASKS
from nearfield.types.finding import ERROR


def open_task(
    data: object, task: str | None = None, *, options: Options = DEFAULT, models: Sequence[Any] = ()
) -> Task:
    """The task called `task` on `data`, or where that is None, the first that takes the data.

    `data` is a source such as a path, what one opens to, or a task, which is given back. Errors
    that the data doctor finds in a source become warnings: they may mislead a measurement and do
    not prevent it.
    Raises InputError for an unknown task, data that it does not take, and options without a
    meaning for it.
    """
    if isinstance(data, Task):
        return data
    source = ""
    if isinstance(data, str | Path):
        source = str(data)
        data = _opened(data) if task is None else TASKS[task].read(data)
        _warn_of_errors(data, source)
    for name in TASKS if task is None else [task]:
        found = TASKS[name].of(data, options, models=models, source=source)
        if found is not None:
            return _checked(found, options)
    wanted = f"any task ({', '.join(TASKS)}); name one"
    if task is not None:
        wanted = f"the task {task}, which takes {TASKS[task].takes}"
    raise InputError(f"{source or type(data).__name__}: is not data for {wanted}")


def _opened(source: str | Path) -> object:
    """What the source holds: texts with labels where it has them, else pairs or a collection."""
    return recognise(source).labelled() or open_data(source)


def _checked(task: Task, options: Options) -> Task:
    """The task. Raises InputError where it does not take one of the options."""
    given = [name for name in options.given() if name not in task.options]
    if given:
        advice = "leave that out"
        if options.split and Path(task.where).stem in SPLIT_NAMES:
            advice = f"name the file of that split instead of {task.where}"
        raise InputError(
            f"{task.where} is data for the task {task.name}, which has no "
            f"{', '.join(given).replace('_', ' ')}; {advice}"
        )
    return task


def _warn_of_errors(data: object, source: str) -> None:
    if not isinstance(data, Collection | Pairs):
        return
    for finding in examine(data, cheap=True):
        if finding.severity == ERROR:
            warnings.warn(
                f"the data may mislead: {finding}. `nearfield data check {shlex.quote(source)}` "
                f"refuses such data; with --allow {finding.check} it passes",
                NearfieldWarning,
                stacklevel=3,
            )
