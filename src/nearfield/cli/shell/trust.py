"""Whether a command may run code that a model's folder names: an option of every command that opens
a model to use it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Annotated

import typer

from nearfield.cli.shell.options import Given, with_options

_NAME = "trust_remote_code"
# commands without the option open models, too, and ask `trusted`
_GIVEN: Given = ContextVar(_NAME, default={_NAME: False})  # noqa: B039  # which nobody changes
_OPTION = typer.Option(
    "--trust-remote-code",
    help="Run the code that a model's folder names (auto_map). Read it first; its hash is shown.",
)


def trusted() -> bool:
    """Whether the command that runs was told that it may run code."""
    return bool(_GIVEN.get()[_NAME])


def may_run_code(command: Callable[..., None]) -> Callable[..., None]:
    """The same command with the option, for `opened.open_model` to act on."""
    return with_options(command, {_NAME: (Annotated[bool, _OPTION], False)}, _GIVEN)
