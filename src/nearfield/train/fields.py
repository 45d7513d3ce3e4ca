"""Frozen configs: fields that say what they hold, and how they are read from tables of keys and
values.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from nearfield.errors import RecipeError, nearest

MOST_RATE = 0.1


def checked(default: Any, holds: Callable[[Any], bool], wanted: str, part: Any = None) -> Any:
    """A field whose values must fulfil `holds`, which `wanted` says in words; `part` is one of the
    values of a sequence whose default has none.
    """
    return field(default=default, metadata={"holds": holds, "wanted": wanted, "part": part})


def mapping(part: Any) -> Any:
    """A field of named values such as `part`."""
    return field(default_factory=dict, metadata={"part": part})


def above_0(default: float) -> Any:
    """A number above 0."""
    return checked(default, lambda value: value > 0, "more than 0")


def learning_rate(default: float) -> Any:
    """A learning rate that leaves something of the model."""
    return checked(
        default,
        lambda rate: 0 < rate <= MOST_RATE,
        f"more than 0 and at most {MOST_RATE}: AdamW moves each weight by about the rate in every "
        "step, so that a higher one leaves nothing of what the model knows",
    )


def not_below(least: int, default: float) -> Any:
    """A number of at least `least`."""
    wanted = f"at least {least}" if least else "0 or more"
    return checked(default, lambda value: value >= least, wanted)


def one_of(default: str, *names: str) -> Any:
    """One of the names."""
    *first, last = names
    return checked(default, names.__contains__, f"{', '.join(first)} or {last}")


def need(holds: bool, key: str, got: object, wanted: str) -> None:
    """Raise RecipeError that says what `key` is and what is `wanted`, unless that holds."""
    if not holds:
        shown = list(got) if isinstance(got, tuple) else got
        raise RecipeError(f"{key} is {shown}; wanted {wanted}")


def check_fields(table: Any, under: str = "") -> None:
    """Raise RecipeError for a value of the table, or of one in it, that its field does not hold."""
    for part in dataclasses.fields(table):
        name = f"{under}{part.name}"
        value = getattr(table, part.name)
        if dataclasses.is_dataclass(value):
            check_fields(value, f"{name}.")
        elif "holds" in part.metadata:
            need(part.metadata["holds"](value), name, value, part.metadata["wanted"])


def build(start: Any, facts: Mapping[str, Any], under: str = "") -> Any:
    """`start` with these keys and values; `under` begins what an error calls a key. Raises
    RecipeError that names the key and the nearest known one.
    """
    known = {part.name: part.metadata.get("part") for part in dataclasses.fields(start)}
    values: dict[str, Any] = {}
    for key, value in facts.items():
        if key not in known:
            raise RecipeError(
                f"there is no key {under}{key}; {under.rstrip('.') or 'a recipe'} has "
                f"{', '.join(known)}.{nearest(key, known)}"
            )
        values[key] = _value(getattr(start, key), value, f"{under}{key}", known[key])
    return dataclasses.replace(start, **values)


def _value(default: Any, value: Any, key: str, part: Any = None) -> Any:
    """`value` of `key`, which must be such as `default`, or of such as `part`."""
    if dataclasses.is_dataclass(default):
        first = dataclasses.fields(default)[0]
        if isinstance(value, str) and isinstance(first.default, str):
            value = {first.name: value}  # a name alone stands for the table that begins with it
        if not isinstance(value, dict):
            raise RecipeError(f"{key} is {value!r}; wanted a table [{key}]")
        return build(default, value, f"{key}.")
    if isinstance(default, Mapping) and isinstance(value, Mapping):
        return {name: _value(part, each, f"{key}.{name}") for name, each in value.items()}
    if isinstance(default, tuple) and isinstance(value, list | tuple):
        # an empty default cannot say what it holds: its field's `part` does
        if part is None:
            part = default[0]
        return tuple(_value(part, element, f"{key}[{at}]") for at, element in enumerate(value))
    # TOML writes 1.0 as 1, too; to Python, True is an int
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and isinstance(default, float):
        if not math.isfinite(value):
            raise RecipeError(f"{key} is {value}; wanted a finite number")
        return float(value)
    if type(value) is not type(default):
        like = list(default) if isinstance(default, tuple) else default
        raise RecipeError(
            f"{key} is {value!r}; wanted {type(like).__name__}, as in "
            f"{key.rsplit('.', 1)[-1]} = {like!r}"
        )
    return value
