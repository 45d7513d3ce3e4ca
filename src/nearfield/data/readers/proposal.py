"""What the columns of a table may be, by their contents."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nearfield.data.columns import UnknownColumnsError
from nearfield.data.record import MISSING, Record
from nearfield.errors import InputError

PROFILED = 300
"""Rows that are read for it."""
_FILLED = 0.5  # of the cells of a column of texts
_DISTINCT = 0.3  # of them: labels and categories repeat
_WORDS = 2.0  # on average: ids and names have fewer
_NUMBER = re.compile(r"[\s\d.,:/+%€$-]*")


@dataclass(frozen=True)
class Profile:
    """A column of texts: characters and words on average, and the share that are questions."""

    name: str
    length: float
    words: float
    questions: float


def proposed(error: UnknownColumnsError, rows: Iterable[Record]) -> InputError:
    """The error, with the options that the contents of the rows suggest: nothing is taken for sure
    that no name says.
    """
    found = profiles(list(rows))
    options = dict[str, str]()
    lacking = [name for name in ("query", "document") if name not in error.known]
    found = [profile for profile in found if profile.name not in error.known.values()]
    if len(lacking) == 2 and len(found) == 1:
        lacking = ["document"]
    if "query" in lacking and len(found) >= len(lacking):
        asked = max(found, key=lambda profile: (round(profile.questions), -profile.length))
        options["query"] = asked.name
        found.remove(asked)
    if "document" in lacking and found:
        options["document"] = max(found, key=lambda profile: profile.length).name
    if set(options) != set(lacking):
        return error
    stated = " ".join(f"--{name} {shlex.quote(column)}" for name, column in options.items())
    return UnknownColumnsError(
        f"{error.plain}. By their contents, say: {stated}",
        path=error.place,
        line=error.line,
        names=error.names,
        known=error.known,
        proposal=options,
    )


def profiles(rows: Sequence[Record]) -> list[Profile]:
    """The columns of texts among those of the rows."""
    names = dict.fromkeys(name for record in rows for name in record.values)
    return [found for name in names if (found := _profile(name, rows)) is not None]


def _profile(name: str, rows: Sequence[Record]) -> Profile | None:
    cells = [_texts(record.values.get(name)) for record in rows]
    texts = [cell for cell in cells if cell and cell.lower() not in MISSING]
    lettered = [text for text in texts if not _NUMBER.fullmatch(text)]
    if len(lettered) < _FILLED * len(cells) or not lettered:
        return None
    words = sum(_word_count(text) for text in lettered) / len(lettered)
    if len(set(lettered)) < _DISTINCT * len(lettered) or words < _WORDS:
        return None
    questions = sum(text.rstrip().endswith(("?", "？", "؟")) for text in lettered) / len(lettered)
    return Profile(name, sum(map(len, lettered)) / len(lettered), words, questions)


def _texts(cell: object) -> str:
    if isinstance(cell, list | tuple):
        return " ".join(part for part in cell if isinstance(part, str))
    return cell.strip() if isinstance(cell, str) else ""


def _word_count(text: str) -> float:
    """Words; of a script without blanks, half of its characters."""
    wide = sum(character > "\u2e80" for character in text)
    return len(text.split()) + wide / 2
