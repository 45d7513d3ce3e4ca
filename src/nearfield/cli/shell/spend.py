"""How much a command may spend on models behind an API: an option of every command that opens
one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Annotated, Any

import typer

from nearfield.cli.shell.options import Given, with_options

_NAME = "max_spend"
_GIVEN: Given = ContextVar(_NAME)
_OPTION = typer.Option(
    metavar="DOLLARS",
    help="Pay vendors of models behind an API at most this much; what would cost more is refused "
    "before it is asked for.",
)


def may_spend(command: Callable[..., None]) -> Callable[..., None]:
    """The same command with the option, which holds for all models that it opens."""

    @functools.wraps(command)
    def _within(*arguments: Any, **options: Any) -> None:
        most = _GIVEN.get()[_NAME]
        if most is None:
            command(*arguments, **options)
            return
        from nearfield.encoders.remote.budget import Budget

        with Budget(most):
            command(*arguments, **options)

    return with_options(_within, {_NAME: (Annotated[float | None, _OPTION], None)}, _GIVEN)
