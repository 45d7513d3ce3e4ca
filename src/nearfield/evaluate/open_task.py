"""Data to the task that it is for."""

from __future__ import annotations

import logging
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
from nearfield.errors import ForeignDataError, InputError, NearfieldWarning
from nearfield.evaluate.task import DEFAULT, Options, Task
from nearfield.evaluate.tasks import TASKS
from nearfield.types.finding import ERROR

log = logging.getLogger(__name__)


def open_task(
    data: object, task: str | None = None, *, options: Options = DEFAULT, models: Sequence[Any] = ()
) -> Task:
    """The task called `task` on `data`, or where that is None, the first that takes the data.

    `data` is a source such as a path, a table or a list of dicts, what one opens to, or a task,
    which is given back. Errors that the data doctor finds in files become warnings: they may
    mislead a measurement and do not prevent it.
    Raises InputError for an unknown task, data that it does not take, and options without a
    meaning for it.
    """
    if isinstance(data, Task):
        return data
    source = str(data) if isinstance(data, str | Path) else ""
    # what is opened already may be taken as it is
    found = None if source else _first(data, task, options, models, source)
    wanted = f"any task ({', '.join(TASKS)}); name one"
    if task is not None:
        wanted = f"the task {task}, which takes {TASKS[task].takes}"
    refused = f"{source or type(data).__name__}: is not data for {wanted}"
    if found is None:
        try:
            data = _opened(data) if task is None else _read(data, task)
        except ForeignDataError as error:
            raise InputError(f"{refused}: {error}") from None
        if source:
            _warn_of_errors(data, source)
        found = _first(data, task, options, models, source)
    if found is not None:
        _check(found, options)
        if task is None and source:
            _say(source, data, found)
        return found
    raise InputError(refused)


def _first(
    data: object, task: str | None, options: Options, models: Sequence[Any], source: str
) -> Task | None:
    """The named task, or the first of all, that takes what was opened."""
    # the order of the table decides where several tasks take the same data
    for name in TASKS if task is None else [task]:
        found = TASKS[name].of(data, options, models=models, source=source)
        if found is not None:
            return found
    return None


def _read(data: Any, task: str) -> object:
    """What the task makes of a source. Raises ForeignDataError where that must be a path."""
    if TASKS[task].of_files and not isinstance(data, str | Path):
        raise ForeignDataError(f"the data is of type {type(data).__name__}; wanted the path of it")
    return TASKS[task].read(data)


def _opened(source: object) -> object:
    """What the source holds: texts with labels where it has them, else pairs or a collection."""
    return recognise(source).labelled() or open_data(source)


def _say(source: str, data: object, task: Task) -> None:
    """Log what a source was taken for, unless it is a collection, which nothing else is."""
    if isinstance(data, Collection):
        return
    without = ""
    if isinstance(data, Pairs) and data.scored:
        without = ", --score '' says that there is no score"
    log.info(
        f"{source} is taken for {task.takes} (the task {task.name}); --task names another{without}"
    )


def _check(task: Task, options: Options) -> None:
    """Raise InputError where the task does not take one of the options."""
    given = [name for name in options.given() if name not in task.options]
    if given:
        advice = "leave that out"
        if options.split and Path(task.where).stem in SPLIT_NAMES:
            advice = f"name the file of that split instead of {task.where}"
        raise InputError(
            f"{task.where} is data for the task {task.name}, which has no "
            f"{', '.join(given).replace('_', ' ')}; {advice}"
        )


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
