"""The fields of a JSON object from a file, each taken as the type that is wanted of it."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from nearfield.errors import InputError
from nearfield.store.regular import read_bytes

REQUIRED: Final[Any] = object()
"""The default of a field that has none: its absence is an error."""

_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")  # of a surrogate pair; whole pairs are characters


class Fields(Mapping[str, Any]):
    """A JSON object, read-only, that knows which file it came from.

    Every getter raises InputError that names the file, the field, what it holds and what was
    wanted. A field that is null counts as absent. A `default` is returned as it is, None included,
    where the field is absent.
    """

    def __init__(self, values: Mapping[str, Any], path: str | Path, *, where: str = "") -> None:
        self.values_by_name = values
        self.path = Path(path)
        self.where = where  # of a nested object: "modules[2]."

    def __getitem__(self, key: str) -> Any:
        return self.values_by_name[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)

    def text(self, key: str, default: Any = REQUIRED) -> Any:
        """A string."""
        return self._checked(key, default, lambda value: isinstance(value, str), "a text")

    def flag(self, key: str, default: Any = REQUIRED) -> Any:
        """True or False."""
        return self._checked(key, default, lambda value: isinstance(value, bool), "true or false")

    def integer(
        self, key: str, default: Any = REQUIRED, *, low: int = 0, high: int = 2**31 - 1
    ) -> Any:
        """A whole number from `low` to `high`; a float without a fraction counts as one."""

        def fits(value: Any) -> bool:
            # the bounds first: NaN and infinity, which have no int, are within none
            return _is_number(value) and low <= value <= high and value == int(value)

        value = self._checked(key, default, fits, f"a whole number from {low:,} to {high:,}")
        return int(value) if _is_number(value) else value

    def number(
        self, key: str, default: Any = REQUIRED, *, low: float = -math.inf, high: float = math.inf
    ) -> Any:
        """A finite number from `low` to `high`."""

        def fits(value: Any) -> bool:
            return _is_number(value) and _finite(value) and low <= value <= high

        wanted = f"a number from {low:g} to {high:g}"
        if math.isinf(low) and math.isinf(high):
            wanted = "a finite number"
        value = self._checked(key, default, fits, wanted)
        return float(value) if _is_number(value) else value

    def one_of(self, key: str, known: tuple[str, ...], default: Any = REQUIRED) -> Any:
        """One of the strings `known`."""
        return self._checked(
            key,
            default,
            lambda value: isinstance(value, str) and value in known,
            f"one of {', '.join(known)}",
        )

    def texts(self, key: str, default: Any = REQUIRED) -> Any:
        """A list of strings."""
        return self._checked(key, default, _all_texts, "a list of texts")

    def integers(
        self, key: str, default: Any = REQUIRED, *, low: int = 0, high: int = 2**31 - 1
    ) -> Any:
        """A list of whole numbers from `low` to `high`."""

        def fits(value: Any) -> bool:
            return isinstance(value, list) and all(
                type(item) is int and low <= item <= high for item in value
            )

        return self._checked(
            key, default, fits, f"a list of whole numbers from {low:,} to {high:,}"
        )

    def named_texts(self, key: str) -> dict[str, str]:
        """An object of strings, such as prompts by role; those that are null are left out, as if
        they were absent.
        """
        stated = self.object(key, None)
        if stated is None:
            return {}
        return {name: stated.text(name) for name, value in stated.items() if value is not None}

    def object(self, key: str, default: Any = REQUIRED) -> Any:
        """An object, as Fields."""
        value = self._checked(key, default, lambda value: isinstance(value, dict), "an object")
        if isinstance(value, dict):
            return Fields(value, self.path, where=f"{self.where}{key}.")
        return value

    def objects(self, key: str, default: Any = REQUIRED) -> Any:
        """A list of objects, as a list of Fields."""
        value = self._checked(key, default, _all_objects, "a list of objects")
        if not _all_objects(value):
            return value
        return [
            Fields(item, self.path, where=f"{self.where}{key}[{at}].")
            for at, item in enumerate(value)
        ]

    def error(self, key: str, wanted: str) -> InputError:
        """The error of a field whose value is not what was `wanted`, for checks of a
        caller's own.
        """
        if self.get(key) is None:
            return InputError(f"has no {self.where}{key}; wanted {wanted}", path=self.path)
        return InputError(
            f"{self.where}{key} is {_shown(self[key])}; wanted {wanted}", path=self.path
        )

    def _checked(self, key: str, default: Any, fits: Any, wanted: str) -> Any:
        value = self.get(key)
        if value is None and default is not REQUIRED:
            return default
        if value is None or not fits(value):
            raise self.error(key, wanted)
        return value


def read_fields(path: str | Path) -> Fields:
    """The JSON object in the file at `path`. Raises InputError where it holds none."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"holds {_shown(value)}; wanted a JSON object", path=path)
    return Fields(value, path)


def read_optional(path: str | Path) -> Fields:
    """The JSON object in the file at `path`; one without fields where there is no such file."""
    if os.path.lexists(path):
        return read_fields(path)
    return Fields({}, path)


def read_objects(path: str | Path) -> list[Fields]:
    """The JSON list of objects in the file at `path`. Raises InputError where it holds none."""
    value = read_json(path)
    if not _all_objects(value):
        raise InputError(f"holds {_shown(value)}; wanted a JSON list of objects", path=path)
    return [Fields(item, path, where=f"[{at}].") for at, item in enumerate(value)]


def read_json(path: str | Path) -> Any:
    """The JSON value in the file at `path`. Raises InputError that names the file, and the line
    where it is not JSON.
    """
    return parse_json(read_bytes(path), path)


def parse_json(content: bytes, path: str | Path) -> Any:
    """The JSON value in `content`, which the file at `path` holds. Raises InputError as `read_json`
    does.
    """
    try:
        value = json.loads(content.decode("utf-8"))
        # Python takes half of a pair as a character; whether one is alone, encoding tells
        if _HALF_PAIR.search(content):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except UnicodeEncodeError as error:
        raise InputError(
            f"holds \\u{ord(error.object[error.start]):04x}, half of a character, in a text",
            path=path,
        ) from error
    except json.JSONDecodeError as error:
        raise InputError(f"is not JSON: {error.msg}", path=path, line=error.lineno) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"is not UTF-8: {error.reason} at byte {error.start}", path=path
        ) from error
    except RecursionError as error:
        raise InputError("is nested too deeply to be read as JSON", path=path) from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise InputError(f"is not usable JSON: {error}", path=path) from error


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False


def _all_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _all_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _shown(value: Any) -> str:
    """A value from a file, short enough for a message."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):  # digits or depth without end
        return f"a {type(value).__name__} too large to show"
    if len(text) > 60:
        text = f"{text[:57]}..."
    return text
