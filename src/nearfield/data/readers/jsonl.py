"""JSON: one object on each line, or a whole file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nearfield.data.readers.encoded import opened
from nearfield.data.readers.lines import decode, reading, tolerant_lines
from nearfield.data.readers.nested import flat, table_in
from nearfield.data.readers.rows import RowFile
from nearfield.data.record import Place, Record
from nearfield.errors import InputError, first_line

_LARGEST = 1 << 30  # bytes of a file that is parsed as a whole
_START = 1 << 16


class JsonLines(RowFile):
    """A file with one JSON object on each line; blank lines are skipped."""

    def tolerant(self, columns: Sequence[str] = ()) -> Iterator[Record | InputError]:
        """Each line's object, or what is wrong with the line."""
        return objects(tolerant_lines(self.path, self.encoding()), self.path)


class Json(RowFile):
    """A JSON file: a list of objects, an object with one list of objects at some depth, as
    {"data": [...]}, objects by key, or an object of lists, which are columns. A row's line is its
    number.
    """

    def tolerant(self, columns: Sequence[str] = ()) -> Iterator[Record | InputError]:
        """The rows, or what is wrong with each."""
        rows = self._rows()
        if not rows:
            raise self.without_rows()
        for number, row in enumerate(rows, 1):
            if isinstance(row, dict):
                yield Record(flat(row), self.path, number)
            else:
                fault = f"row {number:,} is a JSON {type(row).__name__}; wanted an object"
                yield InputError(fault, path=self.path, line=number)

    def count(self) -> int:
        """The number of rows."""
        return len(self._rows())

    def _rows(self) -> Sequence[Any]:
        with reading(self.path), opened(self.path, self.encoding()) as file:
            raw = file.read(_LARGEST + 1)
        if len(raw) > _LARGEST:
            raise InputError("is larger than a GiB; save it as JSON lines", path=self.path)
        if not raw.strip():
            raise InputError("the file is empty", path=self.path)
        try:
            value = json.loads(decode(raw, self.path), object_pairs_hook=_once)
        except json.JSONDecodeError as error:
            advice = ""
            if b"\n{" in raw[:_START]:  # objects without commas between
                advice = "; it looks like JSON lines: call it .jsonl"
            raise InputError(
                f"is not JSON: {error.msg} at column {error.colno}{advice}",
                path=self.path,
                line=error.lineno,
            ) from error
        except (RecursionError, ValueError) as error:
            raise InputError(f"is not usable JSON: {first_line(error)}", path=self.path) from error
        rows = table_in(value)
        if rows is not None:
            return rows
        raise InputError(
            'holds no table; wanted a list of objects, {"data": [objects]} or an object of lists '
            "of one length",
            path=self.path,
        )


def objects(
    lines: Iterable[tuple[int, str | InputError]], place: Place
) -> Iterator[Record | InputError]:
    """The object that each of `lines` holds, or what is wrong with it."""
    for number, line in lines:
        if isinstance(line, InputError):
            yield line
        elif line.strip():
            yield _object(line, place, number)


def _object(line: str, place: Place, number: int) -> Record | InputError:
    try:
        value = json.loads(line, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        fault = f"is not JSON: {error.msg} at column {error.colno}; wanted one object per line"
    except RecursionError:
        fault = "the JSON is nested too deep; wanted a flat object"
    # a key that comes twice, an integer of more digits than Python converts
    except ValueError as error:
        fault = f"is not usable JSON: {first_line(error)}"
    else:
        # a list of texts, as pairs are often written, is a row of columns without names
        if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
            value = {str(at): part for at, part in enumerate(value, 1)}
        if isinstance(value, dict):
            return Record(flat(value), place, number)
        fault = f"holds a JSON {type(value).__name__}; wanted one object per line"
    return InputError(fault, path=place, line=number)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of a JSON parser's pairs; Python's own keeps the last of two values unsaid."""
    value = dict(pairs)
    if len(value) < len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice[:60]!r} is there twice in one object; keep one")
    return value
