"""Batches of Arrow as rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from nearfield.data.columns import check_names, shortened
from nearfield.data.readers.nested import flat
from nearfield.data.readers.rows import Rows
from nearfield.data.record import Place, Record
from nearfield.errors import InputError, first_line, nearest

ROWS_AT_A_TIME = 512  # decoded


def check_columns(names: Sequence[str], wanted: Sequence[str], rows: Rows) -> Sequence[str]:
    """The columns to read: those `wanted`, else those that are used, else all; of a part,
    `answer.text`, the whole. Raises InputError for one that is not there.
    """
    check_names(names, rows.place)
    chosen = list[str]()
    for name in wanted or rows.used() or names:
        whole = name if name in names else name.partition(".")[0]
        if whole not in names:
            raise InputError(
                f"has no column {name!r}; it has {shortened(names)}.{nearest(name, names)}",
                path=rows.place,
            )
        chosen.append(whole)
    return list(dict.fromkeys(chosen))


def column_names(schema: pa.Schema, rows: Rows) -> list[str]:
    """The names of all columns; where some hold objects, as the first row has them."""
    if any(map(_holds_objects, schema.types)):
        first = next(iter(rows.tolerant(schema.names)), None)
        return list(first.values) if isinstance(first, Record) else schema.names
    return list(schema.names)


def _holds_objects(kind: pa.DataType) -> bool:
    """Whether it is of objects, or of lists of them at any depth."""
    while pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return bool(pa.types.is_struct(kind))


def numbered(batches: Iterable[pa.RecordBatch], rows: Rows) -> Iterator[Record]:
    """The rows of all batches, numbered from 1. Raises InputError where there is none."""
    number = 0
    for batch in batches:
        for values in _values(batch, rows.place, number):
            number += 1
            yield Record(flat(values), rows.place, number)
    if not number:
        raise rows.without_rows()


def _values(batch: pa.RecordBatch, place: Place, before: int) -> list[dict[str, Any]]:
    """The batch's rows. Raises InputError that names the first row with a value that Python has
    none for: a text that is not UTF-8, a date beyond the year 9999; or a column that is damaged.
    """
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            column.validate(full=True)  # offsets that lie would be followed out of the file
        except pa.ArrowInvalid as error:
            # of a plain column the row is found below
            if pa.types.is_nested(column.type) or "UTF8" not in str(error):
                raise InputError(
                    f"column {name!r} is damaged: {first_line(error)}", path=place
                ) from error
    try:
        return list(batch.to_pylist())
    except (ValueError, OverflowError) as error:
        # one row at a time, to name the one that is wrong
        for at in range(len(batch)):
            try:
                batch.slice(at, 1).to_pylist()
            except (ValueError, OverflowError) as wrong:
                raise InputError(
                    f"row {before + at + 1:,} could not be read: {first_line(wrong)}", path=place
                ) from error
        raise
