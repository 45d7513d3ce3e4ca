"""Excel workbooks (.xlsx)."""

from __future__ import annotations

import datetime
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from nearfield.data.readers.header import header_at, header_names
from nearfield.data.readers.lines import reading
from nearfield.data.readers.rows import RowFile
from nearfield.data.record import Record
from nearfield.errors import InputError, first_line
from nearfield.extras import require
from nearfield.store.regular import open_regular


class Workbook(RowFile):
    """The first sheet of a workbook whose header says what its columns are, else the first that has
    rows. Cells are read as texts, formulas as the values that were saved.
    """

    def read_as(self) -> dict[str, str]:
        """The sheet, and the others."""
        name, others, _ = self._sheet
        said = {"sheet": name}
        if others:
            said["other sheets, not read"] = ", ".join(others)
        return said

    def tolerant(self, columns: Sequence[str] = ()) -> Iterator[Record | InputError]:
        """Each row below the header that is not blank."""
        _, _, rows = self._sheet
        header, named = header_names(rows[0][1], self.path, self.options)
        for number, cells in rows[named:]:
            yield Record(dict(zip(header, cells, strict=True)), self.path, number)
        if len(rows) <= named:
            raise self.without_rows()

    def count(self) -> int:
        """The number of rows."""
        return max(0, len(self._sheet[2]) - 1)

    @cached_property
    def _sheet(self) -> tuple[str, list[str], list[tuple[int, list[str]]]]:
        """The sheet's name, those of the others with rows, and its rows by number."""
        openpyxl = require("openpyxl", extra="excel")
        try:
            with reading(self.path), open_regular(self.path) as file, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of styles that it leaves out
                book = openpyxl.load_workbook(file, read_only=True, data_only=True)
                found = [(sheet.title, _rows(sheet)) for sheet in book.worksheets]
        except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"is not an Excel workbook or is damaged: {first_line(error)}", path=self.path
            ) from error
        sheets = {name: rows for name, rows in found if rows}
        if not sheets:
            raise self.without_rows()
        chosen = next(iter(sheets))
        start = None  # of the header among the rows
        for name, rows in sheets.items():
            start = header_at([cells for _, cells in rows], self.options)
            if start is not None:
                chosen = name
                break
        rows = sheets.pop(chosen)
        return chosen, list(sheets), rows[start or 0 :]


def _rows(sheet: Any) -> list[tuple[int, list[str]]]:
    """The rows that are not blank, by their numbers in the sheet, all as wide as the widest."""
    rows = []
    width = 0
    for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
        if any(cell not in (None, "") for cell in cells):
            rows.append((number, [_text(cell) for cell in cells]))
            width = max(width, len(cells))
    # a sheet that does not state its size gives each row as far as it is filled
    for _, texts in rows:
        texts += [""] * (width - len(texts))
    return rows


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime.datetime | datetime.date | datetime.time):
        return cell.isoformat()
    return str(cell)
