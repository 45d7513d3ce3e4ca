"""CSV and TSV files with a header."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

from nearfield.data.columns import BLANKS, check_names, shortened
from nearfield.data.readers import TolerantRecord
from nearfield.data.readers.lines import LIMIT, decoded, raw_lines, tolerant_lines
from nearfield.errors import InputError


def tolerant_comma_records(path: Path) -> Iterator[TolerantRecord]:
    """The rows of a CSV file (RFC 4180: a quoted field may hold commas, doubled quotes and line
    breaks), or what is wrong with each.

    Raises InputError for a header that is none, and for a quote that is never closed.
    """
    return _named(path, _logical_lines(path), _comma_fields)


def tolerant_tab_records(path: Path) -> Iterator[TolerantRecord]:
    """The rows of a TSV file, or what is wrong with each: fields hold no tab and no line break;
    quotes around a whole field are taken off. Raises InputError for a header that is none.
    """
    return _named(path, tolerant_lines(path), _tab_fields)


def _named(
    path: Path, rows: Iterator[tuple[int, str | InputError]], split: Callable[[str], list[str]]
) -> Iterator[TolerantRecord]:
    header: list[str] | None = None
    for number, row in rows:
        if isinstance(row, str) and not row.strip():
            continue
        fields = _fields(row, path, number, split)
        if header is not None:
            yield number, _by_name(fields, header, path, number)
        elif isinstance(fields, InputError):
            raise fields
        else:
            header = [name.strip(BLANKS) for name in fields]
            _check_separator(path, number, header)
            check_names(header, path)


def _fields(
    row: str | InputError, path: Path, line: int, split: Callable[[str], list[str]]
) -> list[str] | InputError:
    try:
        return row if isinstance(row, InputError) else split(row)
    except csv.Error as error:
        return InputError(f"is no row of a table: {error}", path=path, line=line)


def _by_name(
    fields: list[str] | InputError, header: list[str], path: Path, line: int
) -> dict[str, str] | InputError:
    if isinstance(fields, InputError):
        return fields
    if len(fields) != len(header):
        message = (
            f"has {len(fields)} fields; wanted {len(header)}, as in the header: {shortened(header)}"
        )
        return InputError(message, path=path, line=line)
    if len(header) > 1 and [field.strip(BLANKS) for field in fields] == header:
        return InputError(
            "repeats the header, as files that were joined do; take the line out",
            path=path,
            line=line,
        )
    return dict(zip(header, fields, strict=True))


def _check_separator(path: Path, line: int, header: list[str]) -> None:
    """Raise InputError where the header is one field that another character separates."""
    comma = path.suffix.lower() == ".csv"
    others = {";": "';'", "\t": "tab"} if comma else {";": "';'", ",": "comma"}
    found = [
        name for character, name in others.items() if len(header) == 1 and character in header[0]
    ]
    if found:
        name = {"tab": ".tsv", "comma": ".csv"}.get(found[0], "")
        advice = (
            f"call it {name}" if name else f"save it again with {'commas' if comma else 'tabs'}"
        )
        wanted = f"{path.suffix} files have {'commas' if comma else 'tabs'}"
        raise InputError(
            f"looks {found[0]}-separated ({shortened(header)}); {wanted}: {advice}",
            path=path,
            line=line,
        )


def _logical_lines(path: Path) -> Iterator[tuple[int, str | InputError]]:
    """Lines joined until their quotes are even in number, each with the number of its first line.

    Raises InputError for a line that is too long: whether a quote is open after it is not known.
    """
    parts: list[bytes] = []
    start = quotes = size = 0
    for number, raw in raw_lines(path):
        if isinstance(raw, InputError):
            raise raw
        start = start if parts else number
        parts.append(raw)
        quotes += raw.count(b'"')
        size += len(raw)
        if quotes % 2 == 0:
            yield start, decoded(b"\n".join(parts), path, start)
            parts, quotes, size = [], 0, 0
        elif size > LIMIT:
            break
    if parts:
        raise InputError(
            "a quote is opened here and never closed; double each quote within a field",
            path=path,
            line=start,
        )


def _comma_fields(row: str) -> list[str]:
    limit = csv.field_size_limit()
    if len(row) <= limit:
        return next(csv.reader([row], strict=True))
    try:  # the module's limit is global: put back before anyone else can see it
        csv.field_size_limit(len(row))
        return next(csv.reader([row], strict=True))
    finally:
        csv.field_size_limit(limit)


def _tab_fields(row: str) -> list[str]:
    fields = row.split("\t")
    return [
        field[1:-1].replace('""', '"') if len(field) > 1 and field[0] == field[-1] == '"' else field
        for field in fields
    ]
