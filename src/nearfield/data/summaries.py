"""Texts with summaries by people, and by machines with people's scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nearfield.data.open import recognise
from nearfield.data.record import Record
from nearfield.data.sources.row_source import RowSource
from nearfield.errors import InputError

HUMAN, MACHINE, SCORES = "human_summaries", "machine_summaries", "relevance"
"""The columns of SummEval, as MTEB reads it; each holds a list."""


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
    machine_summaries and relevance.

    Raises InputError that names the row that is not what was wanted.
    """
    found = recognise(source)
    if not isinstance(found, RowSource):
        raise InputError(
            f"holds no summaries; wanted rows with {HUMAN}, {MACHINE} and {SCORES}",
            path=found.place,
        )
    texts = [_summarised(record) for table in found.tables for record in table]
    return Summaries(found.name, texts, str(found.place))


def _summarised(record: Record) -> Summarised:
    for column in (HUMAN, MACHINE, SCORES):
        if column not in record.values:
            raise record.error(f"has no field {column!r}; wanted {HUMAN}, {MACHINE} and {SCORES}")
    human, machine = (record.texts(column) for column in (HUMAN, MACHINE))
    scores = record.values[SCORES]
    if not human or not machine:
        raise record.error("has no summaries; wanted one by people and one by a machine, at least")
    if not isinstance(scores, list | tuple) or len(scores) != len(machine):
        raise record.error(f"wanted a list of {len(machine)} scores in {SCORES!r}, one per summary")
    numbers = [score for score in scores if isinstance(score, int | float)]
    if len(numbers) != len(scores) or not all(abs(number) < float("inf") for number in numbers):
        raise record.error(f"{SCORES!r} holds {scores!r}; wanted finite numbers")
    return Summarised(tuple(human), tuple(machine), tuple(map(float, numbers)))
