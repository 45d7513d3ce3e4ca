"""Texts with summaries by people, and by machines with people's scores."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from nearfield.data.columns import shortened
from nearfield.data.open import recognise
from nearfield.data.printed_list import printed_list
from nearfield.data.readers.column_names import by_plain_name, first_called
from nearfield.data.record import Record
from nearfield.errors import InputError

# a list of numbers in a cell: JSON puts commas between, numpy blanks
_NUMBERS = re.compile(r"\s*\[([\d\s.,eE+-]*)\]\s*")
# the columns of SummEval, as MTEB reads it, and what else they are called, as `plain` gives it
_NAMES = {
    "human_summaries": ("humansummaries", "humansummary", "referencesummary", "reference"),
    "machine_summaries": ("machinesummaries", "machinesummary", "modelsummary", "summary"),
    "relevance": ("relevance", "score", "rating"),
}
_WANTED = ", ".join(_NAMES)


@dataclass(frozen=True)
class Summarised:
    """One text's summaries by people, those by machines, and people's score of each of these."""

    human: tuple[str, ...]
    machine: tuple[str, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Summaries:
    """Several texts' summaries."""

    name: str
    texts: Sequence[Summarised]
    source: str = ""


def open_summaries(source: object) -> Summaries:
    """The summaries in a file of rows or a table in memory, with the columns human_summaries,
    machine_summaries and relevance, each a list; or with a row for each machine's summary, where
    those of one text have the same human summary.

    Raises InputError that names the row that is not what was wanted.
    """
    found = recognise(source)
    tables = found.tables_read()
    if not tables:
        raise InputError(f"holds no summaries; wanted rows with {_WANTED}", path=found.place)
    rows: dict[tuple[object, ...], list[Summarised]] = {}
    for table in tables:
        named = by_plain_name(table.names())
        columns = [first_called(named, keys) for keys in _NAMES.values()]
        for record in table:
            row = _summarised(record, columns)
            # a row of several machines' summaries is a text by itself
            own = None if len(row.machine) == 1 else record.line
            rows.setdefault((row.human, own), []).append(row)
    return Summaries(found.name, [_together(each) for each in rows.values()], str(found.place))


def _summarised(record: Record, columns: Sequence[str | None]) -> Summarised:
    by_people, by_machines, scored = columns
    if by_people is None or by_machines is None or scored is None:
        raise record.error(f"has columns {shortened(record.values)}; wanted {_WANTED}")
    human = _listed(record, by_people)
    machine = _listed(record, by_machines)
    scores = _listed(record, scored)
    if not human or not machine:
        raise record.error("has no summaries; wanted one by people and one by a machine, at least")
    if len(scores) != len(machine):
        raise record.error(f"wanted a list of {len(machine)} scores in {scored!r}, one per summary")
    try:
        numbers = tuple(float(score) for score in scores if not isinstance(score, bool))
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != len(scores) or not all(map(math.isfinite, numbers)):
        raise record.error(f"{scored!r} holds {shortened([str(scores)])}; wanted finite numbers")
    return Summarised(
        tuple(record.checked(text, by_people) for text in human),
        tuple(record.checked(text, by_machines) for text in machine),
        numbers,
    )


def _listed(record: Record, column: str) -> list[Any]:
    """The items of a list, also of one that was printed into a cell; a single one is a list."""
    value = record.values[column]
    if isinstance(value, str):
        numbers = _NUMBERS.fullmatch(value)
        if numbers is not None:
            return numbers[1].replace(",", " ").split()
        value = printed_list(value) or [value]
    return list(value) if isinstance(value, list | tuple) else [value]


def _together(rows: Sequence[Summarised]) -> Summarised:
    machine = tuple(chain.from_iterable(row.machine for row in rows))
    scores = tuple(chain.from_iterable(row.scores for row in rows))
    return Summarised(rows[0].human, machine, scores)
