"""A vendor's HTTP interface: its paths, the bodies that it takes, its answers and errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from nearfield.serve.call import Call
from nearfield.serve.refusal import Refusal

Answer = Callable[[Call, Any], Awaitable[Any]]
"""From a call and the checked body to what is sent as JSON; arrays of numpy are lists there."""


@dataclass(frozen=True)
class Route:
    """A path and what answers it: with the request's body as a `body`, or, of a GET, with the
    values in the path.
    """

    path: str
    answer: Answer
    body: type[BaseModel] | None = None


@dataclass(frozen=True)
class Dialect:
    """`error` gives the status and the JSON of a refusal. Where several dialects have a path, a
    body with one of a dialect's `marks` among its fields is that dialect's; the one without marks
    takes the rest.
    """

    name: str
    routes: tuple[Route, ...]
    error: Callable[[Refusal], tuple[int, Mapping[str, Any]]]
    marks: frozenset[str] = frozenset()
