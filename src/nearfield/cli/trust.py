"""Whether a command may run code that a model's folder names: an option of every command that opens
a model to use it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Annotated, Any

import typer

TRUST = ContextVar("trust_remote_code", default=False)
"""Whether the command that runs was told so."""
_OPTION = typer.Option(
    "--trust-remote-code",
    help="Run the code that a model's folder names (auto_map). Read it first; its hash is shown.",
)
_NAME = "trust_remote_code"


def may_run_code(command: Callable[..., None]) -> Callable[..., None]:
    """The same command with the option, for `opened.open_model` to act on."""

    @functools.wraps(command)
    def _run(*arguments: Any, **options: Any) -> None:
        before = TRUST.set(bool(options.pop(_NAME)))
        try:
            command(*arguments, **options)
        finally:
            TRUST.reset(before)

    signature = inspect.signature(command, eval_str=True)
    own = inspect.Parameter(
        _NAME, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, _OPTION]
    )
    parameters = {**signature.parameters, _NAME: own}
    changed = signature.replace(parameters=list(parameters.values()))
    _run.__signature__ = changed  # type: ignore[attr-defined]
    _run.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
    return _run
