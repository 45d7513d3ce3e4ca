"""Every error and warning that nearfield raises on purpose.

NearfieldError            anything a user can fix; the command line prints it, exits with code 2
├── InputError            a file, line, field or option is not what was wanted
│   ├── CollectionError   the data as a whole cannot be used (empty, no judged query)
│   └── ForeignDataError  data of a type that no source is of
├── ContractError         how to use a model is unknown or contradictory, or was violated
├── ModelError            a folder is not a model, its architecture is unknown, weights are damaged
├── FetchError            a model could not be fetched, or what came is not what was published
│   └── NoSourceError     none of a model's sources could be reached
├── StorageError          nothing could be written: disk full, read-only folder
├── RecipeError           a recipe has an unknown key or an impossible value
├── VendorError           an API could not be reached, refused, or answered wrongly
├── BudgetError           what was asked for would cost more than may be spent
├── ProcessError          a process that trains along with this one is gone
├── DoctorRefusal         the data doctor found an error that was not allowed by name
└── MissingExtra          an optional dependency is needed

NearfieldWarning(UserWarning)
├── TruncationWarning     texts were longer than the model reads
├── MetricWarning         another similarity than the contract's is used
└── MatryoshkaWarning     vectors were cut to a length that the model was not trained for
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class NearfieldError(Exception):
    """Anything a user can fix: says what was got, what was wanted and what to do."""


class InputError(NearfieldError):
    """A file, line, field or option is not what was wanted.

    `path` and `line` (1-based) lead the message, as `path:line: message`, where they are known.
    """

    def __init__(
        self, message: str, *, path: str | Path | None = None, line: int | None = None
    ) -> None:
        place = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(place + message)
        self.path = None if path is None else Path(path)
        self.line = line


class CollectionError(InputError):
    """The data as a whole cannot be used: it is empty, has no judged query, or lacks the split
    asked for.
    """


class ForeignDataError(InputError):
    """Data of a type that no source is of."""


class ContractError(NearfieldError):
    """How to use a model is unknown or contradictory, or a call violates it."""


class ModelError(NearfieldError):
    """A folder is no model, its architecture is unknown, or its weights are damaged."""


class FetchError(NearfieldError):
    """A model could not be fetched, or what came is not what was published."""


class NoSourceError(FetchError):
    """None of a model's sources could be reached; the message names each and how it failed."""


class StorageError(NearfieldError):
    """Nothing could be written: the disk is full or the folder is read-only."""


class RecipeError(NearfieldError):
    """A recipe has an unknown key or an impossible value."""


class VendorError(NearfieldError):
    """A vendor's API could not be reached, refused a request, or answered wrongly; what it did
    answer is kept.
    """


class BudgetError(NearfieldError):
    """What was asked for would cost more than may be spent, or nobody knows what it costs."""


class ProcessError(NearfieldError):
    """A process that trains along with this one is gone."""


class DoctorRefusal(NearfieldError):
    """The data doctor found an error that was not allowed by name."""


class MissingExtra(NearfieldError):
    """An optional dependency is needed; the message holds the pip line that brings it."""


class NearfieldWarning(UserWarning):
    """The parent of all warnings, for filters."""


class TruncationWarning(NearfieldWarning):
    """Texts were longer than the model reads; the rest of each was not encoded."""


class MetricWarning(NearfieldWarning):
    """Another similarity than the contract's is used."""


class MatryoshkaWarning(NearfieldWarning):
    """Vectors were cut to a length that the model was not trained for."""


def first_line(error: BaseException) -> str:
    """The first line of what another library's error says, with its kind where that is a key or
    nothing.
    """
    kind = type(error).__name__
    said = str(error).strip().splitlines()
    if isinstance(error, KeyError) and said:
        return f"{kind} {said[0]}"
    return said[0] if said else kind


def nearest(name: str, known: Iterable[str]) -> str:
    """`name`'s nearest spelling among `known`, as " Did you mean 'x'?", or "" when nothing
    is near.
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
