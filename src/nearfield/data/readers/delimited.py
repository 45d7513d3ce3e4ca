"""CSV and TSV files with a header."""

from __future__ import annotations

import csv
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

from nearfield.data.columns import BLANKS, check_names, shortened
from nearfield.data.readers.lines import LIMIT, decoded, raw_lines, tolerant_lines
from nearfield.data.readers.rows import RowFile
from nearfield.data.record import Record
from nearfield.errors import InputError

# what each is called, and the ending of files that have it
_SEPARATORS = {";": ("';'", ""), "\t": ("tab", ".tsv"), ",": ("comma", ".csv")}


class _Delimited(RowFile):
    """Rows whose fields stand between separators, below a header."""

    plural: ClassVar[str]

    @abstractmethod
    def lines(self) -> Iterator[tuple[int, str | InputError]]:
        """The number of each row's first line, and the row, or what is wrong with it."""

    @abstractmethod
    def fields(self, row: str) -> list[str]:
        """The fields of a row. Raises csv.Error where it is not one."""

    def tolerant(self, columns: Sequence[str] = ()) -> Iterator[Record | InputError]:
        """Each row below the header, or what is wrong with it."""
        header: list[str] = []
        for number, row in self.lines():
            if isinstance(row, str) and not row.strip():
                continue
            if header:
                yield self._record(row, header, number)
            else:
                header = self._header(row, number)

    def _record(self, row: str | InputError, header: list[str], line: int) -> Record | InputError:
        if isinstance(row, InputError):
            return row
        try:
            fields = self.fields(row)
        except csv.Error as error:
            return self._error(f"is not a row of a table: {error}", line)
        if len(fields) != len(header):
            wanted = f"wanted {len(header)}, as in the header: {shortened(header)}"
            return self._error(f"has {len(fields)} fields; {wanted}", line)
        if len(header) > 1 and [field.strip(BLANKS) for field in fields] == header:
            repeated = "repeats the header, as files that were joined do; take the line out"
            return self._error(repeated, line)
        return Record(dict(zip(header, fields, strict=True)), self.path, line)

    def _header(self, row: str | InputError, line: int) -> list[str]:
        if isinstance(row, InputError):
            raise row
        try:
            header = [name.strip(BLANKS) for name in self.fields(row)]
        except csv.Error as error:
            raise self._error(f"is not a row of a table: {error}", line) from error
        self._check_separator(header, line)
        check_names(header, self.path)
        return header

    def _check_separator(self, header: list[str], line: int) -> None:
        """Raise InputError where the header is one field that another character separates."""
        for separator, (name, ending) in _SEPARATORS.items():
            if len(header) == 1 and separator in header[0] and ending != self.path.suffix.lower():
                advice = f"call it {ending}" if ending else f"save it again with {self.plural}"
                raise self._error(
                    f"looks {name}-separated ({shortened(header)}); {self.path.suffix} files have "
                    f"{self.plural}: {advice}",
                    line,
                )

    def _error(self, message: str, line: int) -> InputError:
        return InputError(message, path=self.path, line=line)


class CommaSeparated(_Delimited):
    """A CSV file (RFC 4180): a quoted field may hold commas, doubled quotes and line breaks."""

    plural = "commas"

    def lines(self) -> Iterator[tuple[int, str | InputError]]:
        """Lines joined until their quotes are even in number.

        Raises InputError for a quote that is never closed, and for a line that is too long: whether
        a quote is open after it is not known.
        """
        parts: list[bytes] = []
        start = quotes = size = 0
        for number, raw in raw_lines(self.path):
            if isinstance(raw, InputError):
                raise raw
            start = start if parts else number
            parts.append(raw)
            quotes += raw.count(b'"')
            size += len(raw)
            if quotes % 2 == 0:
                yield start, decoded(b"\n".join(parts), self.path, start)
                parts, quotes, size = [], 0, 0
            elif size > LIMIT:
                break
        if parts:
            raise self._error(
                "a quote is opened here and never closed; double each quote within a field", start
            )

    def fields(self, row: str) -> list[str]:
        """The fields between commas, without their quotes."""
        limit = csv.field_size_limit()
        if len(row) <= limit:
            return next(csv.reader([row], strict=True))
        try:  # the module's limit is global: put back before anyone else can see it
            csv.field_size_limit(len(row))
            return next(csv.reader([row], strict=True))
        finally:
            csv.field_size_limit(limit)


class TabSeparated(_Delimited):
    """A TSV file: fields hold no tab and no line break; quotes around a whole field are taken
    off.
    """

    plural = "tabs"

    def lines(self) -> Iterator[tuple[int, str | InputError]]:
        """The lines of the file."""
        return tolerant_lines(self.path)

    def fields(self, row: str) -> list[str]:
        """The fields between tabs."""
        return [_unquoted(field) for field in row.split("\t")]


def _unquoted(field: str) -> str:
    quoted = len(field) > 1 and field[0] == field[-1] == '"'
    return field[1:-1].replace('""', '"') if quoted else field
