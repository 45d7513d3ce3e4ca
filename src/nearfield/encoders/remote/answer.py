"""What an answer says of each item, checked number by number."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nearfield.types.arrays import Floats, Integers

UNIT = 1e-2  # how far a vector may be from the unit length that its vendor promises
_NONE = np.empty(0, np.float32)


@dataclass
class Got:
    """Items of an answer: `places`, the `values` and billed `tokens` of each; `refused` and `wrong`
    say what is the matter with others.
    """

    places: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    wrong: dict[int, str] = field(default_factory=dict)

    def __add__(self, other: Got) -> Got:
        return Got(
            self.places + other.places,
            self.values + other.values,
            self.tokens + other.tokens,
            self.refused | other.refused,
            self.wrong | other.wrong,
        )


Check = Callable[[Any], tuple[Any, str]]
"""Gives what an answer says of an item as it is used, and what is wrong with it, "" for nothing."""


def read_values(found: Mapping[int, Any], part: Sequence[int], check: Check) -> Got:
    """What an answer to a request for the items at the places of `part` says of each."""
    got = Got()
    for at, place in enumerate(part):
        fault = "is missing from the answer"
        if at in found:
            value, fault = check(found[at])
        if fault:
            got.wrong[place] = fault
        else:
            got.places.append(place)
            got.values.append(value)
    return got


def read_vector(found: Any, width: int | None, *, unit: bool = False) -> tuple[Floats, str]:
    """A vector as JSON has it, numbers or the base64 of float32, and what is wrong with it, "" for
    nothing. `width` is its length, None for any.
    """
    try:
        with np.errstate(over="ignore"):
            if isinstance(found, str):
                vector = np.frombuffer(base64.b64decode(found, validate=True), "<f4")
            else:
                # takes numbers alone: text and null raise TypeError, and are not made numbers
                vector = np.atleast_1d(found).astype(np.float32, casting="same_kind")
            vector = vector.astype(np.float32)
    except (TypeError, ValueError):
        return _NONE, "is no vector"
    fits = vector.size > 0 if width is None else vector.size == width
    if vector.ndim != 1 or not fits:
        wanted = "" if width is None else f"; wanted {width}"
        return _NONE, f"has {vector.size} dimensions{wanted}"
    if not np.isfinite(vector).all():
        return _NONE, "has NaN or infinite values"
    length = float(np.linalg.norm(vector))
    if width != 1 and length == 0:  # one number is a relevance, which may be 0
        return _NONE, "is zero"
    if unit and abs(length - 1) > UNIT:
        return _NONE, f"has length {length:.4g}; wanted 1"
    return vector, ""


def shared(total: int, weights: Sequence[int]) -> list[int]:
    """`total` shared out in proportion to the weights, in whole numbers that add up to it."""
    # weights that are all 0 share equally
    ends = np.cumsum(np.asarray(weights, np.float64) + 1e-9)
    # the sums are rounded and not the shares, so that nothing is lost or counted twice
    rounded: Integers = np.rint(ends * (total / ends[-1])).astype(np.int64)
    shares: list[int] = np.diff(rounded, prepend=0).tolist()
    return shares
