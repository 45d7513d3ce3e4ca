"""Which row of a sheet or a delimited file is its header."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from nearfield.data.columns import check_names, columns_of
from nearfield.data.readers.column_names import BLANKS, known
from nearfield.data.record import Place
from nearfield.errors import InputError
from nearfield.types.data_options import DataOptions

BEFORE = 20
"""Rows among which a header is looked for."""


def header_at(rows: Sequence[Sequence[str]], options: DataOptions) -> int | None:
    """The position of the first row whose names say what the columns are, which may be below a
    title or a preamble; None where none does.
    """
    for at, row in enumerate(rows[:BEFORE]):
        names = [name.strip(BLANKS) for name in row]
        # a single cell below the first row is of a preamble; a first row may name one column
        if at and sum(map(bool, names)) < 2:
            continue
        try:
            columns_of(numbered(names), "", options)
        except InputError:
            continue
        return at
    return None


def header_names(row: Sequence[str], place: Place, options: DataOptions) -> tuple[list[str], bool]:
    """The names of the columns, and whether `row` holds them; it does not where the options name
    columns by number. Raises InputError where two have one name that has a meaning.
    """
    names = [name.strip(BLANKS) for name in row]
    stated = options.columns().values()
    # a column may be called 1, and is then meant by that
    if stated and all(name.isdecimal() and name not in names for name in stated):
        return [str(number) for number in range(1, len(row) + 1)], False
    check_names(numbered(names), place)
    return numbered(names), True


def numbered(names: Sequence[str]) -> list[str]:
    """The names; of two that are alike and mean nothing the second has a number."""
    seen: Counter[str] = Counter()
    found = list[str]()
    for name in names:
        seen[name] += 1
        if name and seen[name] > 1 and not known(name):
            name = f"{name} ({seen[name]})"
        found.append(name)
    return found
