"""Delimited files with a header: CSV, TSV, and what spreadsheets make of them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Final, NamedTuple

from nearfield.data.columns import shortened
from nearfield.data.readers.column_names import BLANKS, known
from nearfield.data.readers.header import BEFORE, header_at, header_names
from nearfield.data.readers.lines import LIMIT, decoded, raw_lines
from nearfield.data.readers.rows import RowFile
from nearfield.data.record import Record
from nearfield.errors import InputError

SEPARATORS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "'|'"}
_ALONE = "\x1f"  # separates nothing: there is one column
_SAMPLE = 200  # rows that vote on the separator
_ENOUGH = 0.8  # of them have as many fields as the header
_STATED = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # Excel's first line


class _Dialect(NamedTuple):
    """`quoted`: quotes hide separators and line breaks. `stated`: Excel's line comes first."""

    separator: str
    quoted: bool = True
    stated: bool = False


class Delimited(RowFile):
    """Rows whose fields stand between separators, below a header (RFC 4180): a quoted field may
    hold separators, doubled quotes and line breaks.

    The separator is the one that divides most rows as it divides the header. Lines between tabs
    whose quotes do not close are taken as they stand, as many programs write them.
    """

    fallback = True

    def read_as(self) -> dict[str, str]:
        """The encoding, the separator, and which line is the header where others are before it."""
        separator = self._dialect.separator
        said = {"encoding": self.encoding(), "separator": "none: one column"}
        if separator != _ALONE:
            said["separator"] = SEPARATORS.get(separator, repr(separator))
        before = self._before(self._dialect)
        if before:
            said["header"] = f"below {before} other rows"
        return said

    def tolerant(self, columns: Sequence[str] = ()) -> Iterator[Record | InputError]:
        """Each row below the header, or what is wrong with it."""
        dialect = self._dialect
        header = list[str]()
        lines = self._lines(dialect)
        if dialect.stated:
            next(lines)
        before = self._before(dialect)
        for number, row in lines:
            if isinstance(row, str) and not row.strip():
                continue
            if before:
                before -= 1
                continue
            if not header:
                header, named = self._header(row, number, dialect)
                if named:
                    continue
            record = self._record(row, header, number, dialect)
            if isinstance(record, InputError) or any(record.values.values()):
                yield record

    @cached_property
    def _dialect(self) -> _Dialect:
        """The likeliest dialect: of those whose separator is stated, or is in the first line."""
        first = self._first_line()
        stated = _STATED.fullmatch(first)
        if self.options.separator is not None:
            dialects = [_Dialect(self._stated_separator(), stated=stated is not None)]
        elif stated:
            dialects = [_Dialect(stated[1], stated=True)]
        else:
            # of two that divide the rows equally well, the first wins
            preferred = "\t" if ".tsv" in self.path.name.lower() else ","
            order = sorted(SEPARATORS, key=lambda separator: separator != preferred)
            dialects = [_Dialect(separator) for separator in order if separator in first]
        if "\t" in [dialect.separator for dialect in dialects]:
            dialects.append(_Dialect("\t", quoted=False, stated=stated is not None))
        if len(dialects) < len(SEPARATORS):  # the first line may be a title
            others = [_Dialect(separator) for separator in SEPARATORS if separator not in first]
            dialects += filter(self._before, others)
        if dialects:
            return max(dialects, key=self._vote)
        # one column, whose rows may be quoted, as each text with a line break or a comma is
        commas = _Dialect(",")
        quotes = first.strip().startswith('"') or first.count('"') % 2
        if quotes or self._vote(commas)[0] >= 1:
            return commas
        return _Dialect(_ALONE)

    def _stated_separator(self) -> str:
        stated = self.options.separator or ""
        separator = {"tab": "\t", "\\t": "\t"}.get(stated, stated)
        if len(separator) != 1 or separator in '"\r\n':
            raise self._error(f"--separator {stated!r}: wanted one character, or tab", 1)
        return separator

    def _first_line(self) -> str:
        for number, raw in raw_lines(self.path, self.encoding()):
            text = decoded(raw, self.path, number)
            if isinstance(text, InputError):
                raise text
            if text.strip(BLANKS):
                return text.strip("\ufeff")
        raise self.without_rows()

    def _vote(self, dialect: _Dialect) -> tuple[float, int, float, int]:
        """How well a dialect divides the first rows: whether most have the header's fields, the
        names that are known, the share of rows, the fields.
        """
        rows = self._rows(dialect, _SAMPLE)
        if rows == [[]]:  # not even the first row can be read so
            return -1.0, 0, 0.0, 0
        header, *below = rows[header_at(rows, self.options) or 0 :] or [[]]
        names = sum(map(known, header))
        alike = sum(len(_trimmed(row, len(header))) == len(header) for row in below)
        share = alike / max(1, len(below))
        most = 0.0
        if share >= _ENOUGH:
            most = 2.0 if share == 1 else 1.0
        return most, names, share, len(header)

    def _before(self, dialect: _Dialect) -> int:
        """The number of rows before the header."""
        return header_at(self._rows(dialect, BEFORE), self.options) or 0

    def _rows(self, dialect: _Dialect, most: int) -> list[list[str]]:
        """The first rows that are not blank; none behind one that cannot be read, which is
        empty.
        """
        rows = list[list[str]]()
        try:
            for _, row in islice(self._lines(dialect), dialect.stated, most + dialect.stated):
                if isinstance(row, str) and row.strip():
                    rows.append(self._fields(row, dialect))
        except (InputError, csv.Error):
            rows.append([])
        return rows

    def _lines(self, dialect: _Dialect) -> Iterator[tuple[int, str | InputError]]:
        """The number of each row's first line, and the row: lines joined until their quotes are
        even in number.

        Raises InputError for a quote that is never closed, and for a line that is too long: whether
        a quote is open after it is not known.
        """
        parts: list[bytes] = []
        start = quotes = size = 0
        opening = re.compile(rb'(?:^|%s)\s*"' % re.escape(dialect.separator.encode()))
        for number, raw in raw_lines(self.path, self.encoding()):
            if isinstance(raw, InputError):
                if dialect.quoted:
                    raise raw
                yield number, raw
                continue
            if not parts:
                start = number
            parts.append(raw)
            size += len(raw)
            if dialect.quoted:
                quotes += raw.count(b'"')
            # a quote within a field that has none around it, as of inches, opens nothing
            if quotes % 2 == 0 or (len(parts) == 1 and not opening.search(raw)):
                yield start, decoded(b"\n".join(parts), self.path, start)
                parts = []
                quotes = 0
                size = 0
            elif size > LIMIT:
                break
        if parts:
            raise self._error(
                "a quote is opened here and never closed; double each quote within a field", start
            )

    def _fields(self, row: str, dialect: _Dialect) -> list[str]:
        """The fields of a row. Raises csv.Error where it is not one."""
        if not dialect.quoted:
            return [_unquoted(field) for field in row.split(dialect.separator)]
        limit = csv.field_size_limit()
        if len(row) <= limit:
            return next(csv.reader([row], delimiter=dialect.separator, strict=True))
        try:  # the module's limit is global: put back before anyone else can see it
            csv.field_size_limit(len(row))
            return next(csv.reader([row], delimiter=dialect.separator, strict=True))
        finally:
            csv.field_size_limit(limit)

    def _record(
        self, row: str | InputError, header: list[str], line: int, dialect: _Dialect
    ) -> Record | InputError:
        if isinstance(row, InputError):
            return row
        try:
            fields = _trimmed(self._fields(row, dialect), len(header))
        except csv.Error as error:
            return self._error(f"is not a row of a table: {error}", line)
        if len(fields) != len(header):
            wanted = f"wanted {len(header)}, as in the header: {shortened(header)}"
            return self._error(f"has {len(fields)} fields; {wanted}", line)
        if len(header) > 1 and [field.strip(BLANKS) for field in fields] == header:
            repeated = "repeats the header, as files that were joined do; take the line out"
            return self._error(repeated, line)
        return Record(dict(zip(header, fields, strict=True)), self.path, line)

    def _header(
        self, row: str | InputError, line: int, dialect: _Dialect
    ) -> tuple[list[str], bool]:
        if isinstance(row, InputError):
            raise row
        try:
            fields = self._fields(row.strip("\ufeff"), dialect)
        except csv.Error as error:
            raise self._error(f"is not a row of a table: {error}", line) from error
        return header_names(fields, self.path, self.options)

    def _error(self, message: str, line: int) -> InputError:
        return InputError(message, path=self.path, line=line)


def _trimmed(fields: list[str], wanted: int) -> list[str]:
    """The fields without empty ones at the end beyond those wanted."""
    while len(fields) > wanted and not fields[-1].strip():
        fields.pop()
    return fields


def _unquoted(field: str) -> str:
    quoted = len(field) > 1 and field[0] == field[-1] == '"'
    return field[1:-1].replace('""', '"') if quoted else field
