"""What a splitter says of a text: its sections, and where a section that is too long may be cut."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_LINE = re.compile(r".*\n|.+")


class Section(NamedTuple):
    """A part of a text that no chunk goes beyond, from `start` up to `end` in characters, and the
    headings over it, the outermost first.
    """

    start: int
    end: int
    headings: tuple[str, ...] = ()


def whole(text: str) -> list[Section]:
    """The text as one section."""
    return [Section(0, len(text))]


@dataclass(frozen=True)
class Splitter:
    """`sections` gives those of a text; they follow each other and leave nothing out. A section
    that is too long is cut after each match of the first of `levels`, a part that is still too
    long after each match of the second, and so on; at last between two tokens.
    """

    levels: tuple[re.Pattern[str], ...] = ()
    sections: Callable[[str], Sequence[Section]] = whole


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Each line, with its line break, and where it starts."""
    return ((found.start(), found[0]) for found in _LINE.finditer(text))
