"""How long work tells how far it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Progress(Protocol):
    """Called with the items done so far, of how many (0: unknown), and a line about the state
    ("loss 1.23") that may be empty.
    """

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


def silent(done: int, total: int, note: str = "") -> None:
    """Progress that nobody watches."""


Bars = Callable[[str], AbstractContextManager[Progress]]
"""Shows the progress of one piece of work, by its title, while the context is open."""


@contextlib.contextmanager
def no_bars(title: str) -> Iterator[Progress]:
    """Bars that nobody watches."""
    yield silent


Rows = Callable[[Mapping[str, Any]], None]
"""Takes each row that a training run writes, as it is written."""


def no_rows(row: Mapping[str, Any]) -> None:
    """Rows that nobody takes."""


def after(progress: Progress, before: int, whole: int) -> Progress:
    """The progress of a piece that comes after `before` of the `whole`."""
    return lambda done, total, note="": progress(before + done, whole, note)


def part_of(progress: Progress, number: int, parts: int, title: str = "") -> Progress:
    """The progress of one of several equal parts, which `title` says before its notes."""
    return lambda done, total, note="": progress(
        number * total + done, parts * total, f"{title}{note}"
    )
