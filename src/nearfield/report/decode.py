"""JSON values to the package's dataclasses, checked field by field."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from nearfield.errors import InputError

_WANTED = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}
_ACCEPTED: dict[type, tuple[type, ...]] = {float: (int, float)}
"""The Python types that are taken for a type; by default itself alone, so that true is no number.
"""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where in which file a value stands: `rows[2].estimate.mean`."""

    path: Path
    line: int | None = None
    field: str = ""

    def inner(self, name: str) -> Place:
        """The place of a part of the value."""
        return dataclasses.replace(self, field=f"{self.field}{name}".removeprefix("."))

    def error(self, message: str) -> InputError:
        """The error that names this place."""
        if self.field:
            message = f"{self.field}: {message}"
        return InputError(message, path=self.path, line=self.line)


def decode(kind: Any, value: Any, place: Place) -> Any:
    """`value` as a `kind`: a dataclass, tuple[X, ...], Mapping[str, X], X | None, or a plain type.

    Fields that the dataclass does not have are left out, because a newer version may write more.
    Raises InputError that names the file and the field, what was got and what was wanted.
    """
    origin = get_origin(kind)
    parts = get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        # a union is X | None here: no dataclass that is read has another
        (wanted,) = (part for part in parts if part is not types.NoneType)
        return decode(wanted, value, place)
    if dataclasses.is_dataclass(kind):
        return _object(kind, _checked(dict, value, place), place)
    if origin is tuple:
        return _tuple(parts[0], _checked(list, value, place), place)
    if origin in (dict, Mapping):
        found = {}
        for name, item in _checked(dict, value, place).items():
            found[name] = decode(parts[1], item, place.inner(f".{name}"))
        return found
    return _checked(kind, value, place)


def _tuple(kind: Any, values: list[Any], place: Place) -> tuple[Any, ...]:
    # each row's value of every query, thousands of numbers that need no place of their own
    if kind is float and all(type(item) in (int, float) for item in values):
        return tuple(map(float, values))
    found = []
    for number, item in enumerate(values):
        found.append(decode(kind, item, place.inner(f"[{number}]")))
    return tuple(found)


def _object(kind: Any, value: dict[str, Any], place: Place) -> Any:
    arguments = {}
    for name, (hint, needed) in _fields(kind).items():
        if name in value:
            arguments[name] = decode(hint, value[name], place.inner(f".{name}"))
        elif needed:
            raise place.error(f"lacks {name!r}; it has {', '.join(value) or 'nothing'}")
    return kind(**arguments)


@functools.cache
def _fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Each field's type, and whether it must be there."""
    hints = get_type_hints(kind)
    found = {}
    for field in dataclasses.fields(kind):
        defaults = (field.default, field.default_factory)
        needed = all(default is dataclasses.MISSING for default in defaults)
        found[field.name] = hints[field.name], needed
    return found


def _checked(kind: type, value: Any, place: Place) -> Any:
    if type(value) not in _ACCEPTED.get(kind, (kind,)):
        got = "null" if value is None else f"{str(value)[:40]!r}"
        raise place.error(f"is {got}; wanted {_WANTED.get(kind, kind.__name__)}")
    return float(value) if kind is float else value
