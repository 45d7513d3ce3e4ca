"""One row of a source: its values by column, and where it stands."""

from __future__ import annotations

import contextlib
import numbers
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nearfield.errors import InputError

Place = str | Path
"""What errors call a source: its path, or "<list>" for one in memory."""
# as missing values are printed, in lower case
MISSING = frozenset({"nan", "none", "null", "n/a", "#n/a", "<na>", "nat", "undefined"})
SPLIT_NAMES: Final = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
    "testing": "test",
}
"""Names of files and rows that are splits, and the splits that they are."""
YES_NO: Final = {"1": 1, "yes": 1, "true": 1, "0": 0, "no": 0, "false": 0}
"""How a cell says whether something is so, in lower case."""
_WHOLE = re.compile(r"[+-]?[0-9]{1,10}(\.0+)?")


class Record:
    """A row by its column names. `line` is its 1-based line in `place` (in Parquet and in memory:
    its row).
    """

    __slots__ = ("line", "place", "values")

    def __init__(self, values: Mapping[str, Any], place: Place, line: int) -> None:
        self.values = values
        self.place = place
        self.line = line

    def error(self, message: str) -> InputError:
        """The error that says `message` of this row."""
        return InputError(message, path=self.place, line=self.line)

    def text(self, column: str) -> str:
        """The text in `column`; a number is written out. Raises InputError when it is missing or
        not a text.
        """
        if column not in self.values:
            names = ", ".join(map(str, self.values))
            raise self.error(f"has no field {column!r}; it has {names}")
        return self.checked(self.values[column], column)

    def id(self, column: str) -> str:
        """The id in `column` without blanks around it, which files of judgements do not keep.
        Raises InputError where it is empty.
        """
        key = self.text(column).strip()
        if not key:
            raise self.error(f"{column!r} is empty; wanted an id of its own for each")
        return key

    def texts(self, column: str) -> list[str]:
        """The texts in `column`, which holds one or a list; none where it is absent, null or an
        empty string.
        """
        value = self.values.get(column)
        if value is None or value == "":
            return []
        if not isinstance(value, list | tuple):
            value = [value]
        return [self.checked(item, column) for item in value]

    def joined(self, column: str | None) -> str:
        """The text in a column that may be absent or null, which is ""."""
        return "" if column is None else "".join(self.texts(column))

    def label(self, column: str | None) -> str:
        """The group or split in `column`, "" for none. Raises InputError for a printed missing
        value, which would be one.
        """
        if column is None:
            return ""
        found = "".join(self.texts(column)[:1]).strip()  # of several the first
        if found.lower() in MISSING:
            raise self.error(
                f"{column!r} is {found!r}, as a missing value is printed; leave the cell empty"
            )
        return found

    def name(self, column: str) -> str:
        """The class in `column`, of a flag "true" or "false". Raises InputError where it is empty,
        which would be a class of its own.
        """
        value = self.values.get(column)
        found = str(value).lower() if isinstance(value, bool) else self.text(column)
        if not found.strip():
            raise self.error(f"{column!r} is empty; wanted the label of the text, or no such row")
        return found

    def split(self, column: str | None) -> str:
        """The split in `column`, by the name that it has here; "" for none."""
        return split_called(self.label(column))

    def checked(self, value: object, column: str) -> str:
        """`value` as text. Raises InputError when it is not a string or a whole number, or holds
        half of a surrogate pair.
        """
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # as tables store whole numbers beside missing ones
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, bytes):  # a text, in Parquet of old writers, which did not mark them
            with contextlib.suppress(UnicodeDecodeError):
                value = value.decode()
        if not isinstance(value, str):
            got = "null" if value is None else f"a {type(value).__name__}"
            raise self.error(f"{column!r} is {got}; wanted text")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise self.error(
                f"{column!r} holds half of a surrogate pair (\\ud800-\\udfff), which is not a "
                "character"
            ) from error
        return value


def split_called(name: str) -> str:
    """The split that a file or a row calls `name`."""
    return SPLIT_NAMES.get(name.lower(), name)


def relevance_of(value: object, place: Place, line: int) -> int:
    """`value` as a relevance. Raises InputError unless it is a whole number that fits into 32 bits;
    1.0 is one, as tables store it.
    """
    number = value
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        number = int(value.strip().partition(".")[0])
    elif isinstance(value, str | bool):
        number = YES_NO.get(str(value).strip().lower(), value)
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    whole = isinstance(number, numbers.Integral) and not isinstance(number, bool)
    if whole and -(2**31) <= int(number) < 2**31:  # type: ignore[call-overload]
        return int(number)  # type: ignore[call-overload, no-any-return]
    got = repr(value)
    if len(got) > 60:
        got = f"{got[:57]}..."
    raise InputError(
        f"relevance is {got}; wanted an integer, above 0 where the document answers the query",
        path=place,
        line=line,
    )
