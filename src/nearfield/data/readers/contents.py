"""What the columns of a table may be, by their contents."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

from nearfield.data.columns import Columns, UnknownColumnsError
from nearfield.data.readers.column_names import FLAGS, KEYS, known, plain
from nearfield.data.record import MISSING, SPLIT_NAMES, YES_NO, Record
from nearfield.errors import InputError

PROFILED = 300  # rows that are read for it
_FILLED = 0.5  # of the cells of a column of texts
_DISTINCT = 0.3  # of them: labels and categories repeat
_WORDS = 2.0  # on average: ids and names have fewer
_FEWEST = 10  # cells that say that a column holds no texts
_REPEATED = 5  # times that each cell of a category comes, on average
# by their names, how often each cell of a category of several words comes, on average: titles may
# be documents, and repeat
_CATEGORIES = dict.fromkeys(KEYS["positive"], 20) | {"source": _REPEATED}
_HEADING = 5  # words of a column's name: what has more is a row
_NUMBER = re.compile(r"[\s\d.,:/+%€$-]*")
_ID = re.compile(rf"https?://\S+|[!-~]*\d[!-~]*|{_NUMBER.pattern}")
_READ = 1000  # characters of a cell


@dataclass(frozen=True)
class Profile:
    """A column of texts: characters and words on average, and the share that are questions."""

    name: str
    length: float
    words: float
    questions: float


class Contents:
    """The first rows of a table, by column."""

    def __init__(self, rows: Sequence[Record]) -> None:
        # all rows' columns in the order in which they come first: JSON's rows may differ in theirs
        names = dict.fromkeys(chain.from_iterable(record.values for record in rows))
        self.cells: dict[str, list[str]] = {}
        for name in names:
            self.cells[name] = [_text(record.values.get(name)) for record in rows]

    @cached_property
    def profiles(self) -> list[Profile]:
        """The columns of texts."""
        found = []
        for name, cells in self.cells.items():
            profile = _profile(name, cells)
            if profile is not None:
                found.append(profile)
        return found

    def textless(self, names: Collection[str]) -> set[str]:
        """Those of the columns that hold numbers, ids, addresses or a few single words, in a table
        where another column holds texts.
        """
        if self.profiles:
            return {name for name in names if self._textless(name)}
        return set()

    def completed(self, columns: Columns) -> Columns:
        """The columns, with those of relevance and of splits that are told by what is in them."""
        if not columns.paired or columns.score is not None:
            return columns
        used = columns.meanings()
        for name, cells in self.cells.items():
            if name in used:
                continue
            found = {cell.lower() for cell in cells}
            if columns.relevance is None and plain(name) in FLAGS and found <= YES_NO.keys():
                unused = tuple(other for other in columns.unused if other != name)
                columns = replace(columns, relevance=name, unused=unused)
            elif columns.split is None and len(found) > 1 and found <= SPLIT_NAMES.keys():
                columns = replace(columns, split=name)
        return columns

    def example(self, name: str) -> str:
        """A cell of a column that is not empty."""
        return next(filter(None, self.cells[name]), "")

    def _textless(self, name: str) -> bool:
        cells = [cell for cell in self.cells.get(name, ()) if _filled(cell)]
        if len(cells) < _FEWEST:
            return False
        if all(map(_ID.fullmatch, cells)):
            return True
        kinds = len(set(cells))
        words = sum(map(_word_count, cells)) / len(cells)
        # "Web form" and "Help center" of a channel, "Within a day" of a response; a query may be
        # as short and come as often
        often = _CATEGORIES.get(plain(name))
        if often is not None and kinds * often <= len(cells):
            return words < _HEADING
        return kinds * _REPEATED <= len(cells) and words < _WORDS


def proposed(
    error: UnknownColumnsError, contents: Contents, textless: Collection[str]
) -> InputError:
    """The error, with the options that the contents suggest: nothing is taken for sure that no name
    says. `textless` are columns that were not taken by their names, as they hold no texts.
    """
    message = error.plain
    for name in sorted(textless):
        message += f". {name!r} holds no texts, as {contents.example(name)[:40]!r}"
    options = _options(error, contents.profiles, textless)
    labels = [name for name in contents.cells if plain(name) in KEYS["label"]]
    if labels and "query" in options:
        longest = max(contents.profiles, key=lambda profile: profile.length)
        message += (
            f". Where {labels[0]!r} is the label of texts: --document "
            f"{shlex.quote(longest.name)} alone"
        )
    if options and error.line == 1 and not _heads(error.names):
        # columns without names go by their numbers, from 1
        options = {use: str(error.names.index(name) + 1) for use, name in options.items()}
        message = f"{error.plain}. The file has no header: say {_stated(options)}"
    elif options:
        message += ". By their contents, say: " + _stated(options)
    return UnknownColumnsError(
        message,
        path=error.place,
        line=error.line,
        names=error.names,
        known=error.known,
        proposal=options,
    )


def _stated(options: Mapping[str, str]) -> str:
    return " ".join(f"--{name} {shlex.quote(column)}" for name, column in options.items())


def _options(
    error: UnknownColumnsError, found: Sequence[Profile], textless: Collection[str]
) -> dict[str, str]:
    """What each of query and document that no name says may be; empty where one is not found."""
    options = dict[str, str]()
    lacking = [name for name in ("query", "document") if name not in error.known]
    found = [profile for profile in found if profile.name not in error.known.values()]
    # a column whose name has another meaning, as a title, only where there is no other
    found = [profile for profile in found if not known(profile.name)] or found
    if len(lacking) == 2 and len(found) == 1:
        lacking = ["document"]
    if "query" in lacking and len(found) >= len(lacking):
        asked = max(found, key=lambda profile: (round(profile.questions), -profile.length))
        options["query"] = asked.name
        found.remove(asked)
    if "document" in lacking and found:
        options["document"] = max(found, key=lambda profile: profile.length).name
    left = [name for name in lacking if name not in options]
    if len(left) == len(textless) == 1:  # what it is called says so after all
        options[left[0]] = next(iter(textless))
    return options if set(options) == set(lacking) else {}


def _heads(names: Sequence[str]) -> bool:
    """Whether the names look like those of columns, and not like a row of texts and numbers."""
    for name in names:
        # without the number that `numbered` puts behind a repeated one
        if _NUMBER.fullmatch(name.partition(" (")[0]) or _word_count(name) >= _HEADING:
            return False
    return True


def _profile(name: str, cells: Sequence[str]) -> Profile | None:
    lettered = [cell for cell in cells if _filled(cell) and not _NUMBER.fullmatch(cell)]
    if len(lettered) < _FILLED * len(cells) or not lettered:
        return None
    words = sum(map(_word_count, lettered)) / len(lettered)
    if len(set(lettered)) < _DISTINCT * len(lettered) or words < _WORDS:
        return None
    questions = sum(text.endswith(("?", "？", "؟")) for text in lettered) / len(lettered)
    return Profile(name, sum(map(len, lettered)) / len(lettered), words, questions)


def _filled(cell: str) -> bool:
    return bool(cell) and cell.lower() not in MISSING


def _text(cell: object) -> str:
    if isinstance(cell, list | tuple):
        return " ".join(part for part in cell if isinstance(part, str))
    if isinstance(cell, int | float):  # a truth value, too
        return str(cell)
    return cell.strip() if isinstance(cell, str) else ""


def _word_count(text: str) -> float:
    """Words; of a script without blanks, half of its characters."""
    text = text[:_READ]
    wide = sum(character > "\u2e80" for character in text)
    return len(text.split()) + wide / 2
