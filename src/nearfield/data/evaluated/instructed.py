"""Queries under several instructions, with the relevance of documents under each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nearfield.data.columns import shortened
from nearfield.data.open import recognise
from nearfield.data.readers.column_names import by_plain_name
from nearfield.data.readers.rows import strict
from nearfield.data.record import relevance_of
from nearfield.errors import InputError

INSTRUCTION = "instruction"
Judged = Mapping[str, int]
"""The relevance of documents, by their texts."""


@dataclass(frozen=True)
class Instructed:
    """`queries` holds for each query what is relevant under each of its instructions; the first of
    these is the original.
    """

    name: str
    queries: Mapping[str, Mapping[str, Judged]]
    source: str = ""


def open_instructed(source: object) -> Instructed:
    """The rows of a file or a table in memory, with a query, an instruction, a document and its
    relevance each.

    Raises InputError that names the column or the row that is not what was wanted.
    """
    found = recognise(source)
    queries: dict[str, dict[str, dict[str, int]]] = {}
    for rows in found.tables_read():
        columns = rows.layout
        instruction = by_plain_name(rows.names()).get(INSTRUCTION)
        query = columns.query
        document = columns.positive
        relevance = columns.relevance or columns.score
        if not (query and document and instruction and relevance) or instruction == query:
            break
        for record in strict(rows.tolerant([query, instruction, document, relevance])):
            own = queries.setdefault(record.text(query), {})
            judged = own.setdefault(record.joined(instruction).strip(), {})
            grade = relevance_of(record.values[relevance], record.place, record.line)
            judged[record.text(document)] = grade
    if not queries:
        columns_read = "of no table"
        for rows in found.tables_read()[:1]:
            columns_read = shortened(rows.names())
        raise InputError(
            f"has columns {columns_read}; wanted query, {INSTRUCTION}, document and relevance",
            path=found.place,
        )
    return Instructed(found.name, queries, str(found.place))
