"""Options that a command takes besides its own parameters."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

Given = ContextVar[Mapping[str, Any]]


def with_options(
    command: Callable[..., None], options: Mapping[str, tuple[Any, Any]], given: Given
) -> Callable[..., None]:
    """The same command with `options`, each with its annotation and its default; while it runs,
    `given` holds what they were given.
    """

    @functools.wraps(command)
    def _run(*arguments: Any, **values: Any) -> None:
        before = given.set({name: values.pop(name) for name in options})
        try:
            command(*arguments, **values)
        finally:
            given.reset(before)

    # where a file imports `annotations` from __future__ they are strings, and typer wants types
    signature = inspect.signature(command, eval_str=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = dict(signature.parameters)
    for name, (annotation, default) in options.items():
        parameters[name] = inspect.Parameter(name, kind, default=default, annotation=annotation)
    # typer reads a command's options off its signature, and their types off its annotations
    changed = signature.replace(parameters=list(parameters.values()))
    _run.__signature__ = changed  # type: ignore[attr-defined]
    _run.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
    return _run
