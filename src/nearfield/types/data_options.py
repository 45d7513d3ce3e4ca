"""What a user says of a table that cannot be told from it: which column is what, how it is read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass, fields
from typing import Final


@dataclass(frozen=True)
class DataOptions:
    """The names of columns by meaning, "" where there is none, the separator of a delimited file
    (`tab` for a tab) and the encoding of a text file; None for what is to be recognised.

    A `document` without a query column makes documents only.
    """

    query: str | None = None
    document: str | None = None
    negative: str | None = None
    label: str | None = None
    score: str | None = None
    id: str | None = None
    group: str | None = None
    split: str | None = None
    separator: str | None = None
    encoding: str | None = None

    def given(self) -> dict[str, str]:
        """Those that are not None."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def columns(self) -> dict[str, str]:
        """Those that name a column."""
        given = self.given().items()
        return {name: value for name, value in given if value and name not in READING}

    def without(self) -> list[str]:
        """Those that say that there is no such column: empty ones."""
        return [name for name, value in self.given().items() if not value]


READING: Final = ("separator", "encoding")
NAMES: Final = tuple(field.name for field in fields(DataOptions))
NONE: Final = DataOptions()
_STATED: ContextVar[Mapping[str, DataOptions]] = ContextVar("stated data options")


@contextlib.contextmanager
def stating(sources: Iterable[object], options: DataOptions) -> Iterator[None]:
    """While it is open, `sources` are opened with `options`: a command says once how its data is
    read, wherever it opens them.
    """
    # replaces what an outer block stated, until this one ends
    before = _STATED.set({str(source): options for source in sources})
    try:
        yield
    finally:
        _STATED.reset(before)


def stated(source: object) -> DataOptions:
    """The options that the running command was given for a source."""
    options = _STATED.get({})
    if not options:  # str() of a large list takes long
        return NONE
    return options.get(str(source), NONE)
