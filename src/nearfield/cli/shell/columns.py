"""How a command's data is read: the same options in every command that takes data."""

from __future__ import annotations

import functools
import inspect
import shlex
from collections.abc import Callable
from contextvars import ContextVar
from typing import Annotated, Any, Final

import typer

from nearfield.cli.shell.options import Given, with_options
from nearfield.types.data_options import NAMES, READING, DataOptions, stating

_GIVEN: Given = ContextVar("columns", default={})  # noqa: B039  # which nobody changes
RESTATED: ContextVar[str] = ContextVar("restated", default="")
"""What `restated` makes of the running command, which each command sets."""
_PREFIX: Final = "column_"  # a command may have a parameter of the same name
TAKING: Final = ("on", "source", "collection")
"""What parameters are called that take data, the first that a command has."""
_HELP: Final = {
    "separator": "What stands between the fields of a delimited file; `tab` for a tab.",
    "encoding": "The encoding of a text file, as cp1252 or utf-16.",
    "split": "The column of the rows' splits.",
    "group": "The column of groups, each of which stays in one split.",
}
_PANEL: Final = "How the data is read (recognised where not given; `nearfield data show` says how)"


def takes_data(command: Callable[..., None]) -> Callable[..., None]:
    """The same command with the options of `DataOptions`, with which its data is opened.

    A command with an option --split of its own has --split-column alone.
    """
    own = inspect.signature(command).parameters
    parameter = next(name for name in TAKING if name in own)

    @functools.wraps(command)
    def _run(*arguments: Any, **values: Any) -> None:
        given = {name.removeprefix(_PREFIX): value for name, value in _GIVEN.get().items()}
        source = values.get(parameter)
        sources = source if isinstance(source, list) else [source]
        with stating(sources, DataOptions(**given)):
            command(*arguments, **values)

    options = {f"{_PREFIX}{name}": (_option(name, name in own), None) for name in NAMES}
    return with_options(_run, options, _GIVEN)


def restated(ctx: typer.Context) -> str:
    """The options of `takes_data` as the running command was given them, each behind a space, for
    another command that reads the same data.
    """
    options = ""
    for parameter in ctx.command.params:
        name = parameter.name or ""
        value = ctx.params.get(name)
        if name.startswith(_PREFIX) and value is not None:
            options += (
                f" {parameter.opts[-1]} {shlex.quote(value)}"  # every command has the last one
            )
    return options


def _option(name: str, taken: bool) -> Any:
    flags = [f"--{name}"]
    if name == "split":
        flags = ["--split-column"] if taken else ["--split", "--split-column"]
    elif taken and name != "query":  # which is an argument there
        flags = [f"--{name}-column"]
    help_text = _HELP.get(name, f"The column that is the {name}.")
    metavar = name.upper() if name in READING else "COLUMN"
    option = typer.Option(*flags, metavar=metavar, help=help_text, rich_help_panel=_PANEL)
    return Annotated[str | None, option]
