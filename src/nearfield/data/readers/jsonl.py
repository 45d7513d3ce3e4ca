"""JSON lines: one object on each line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nearfield.data.readers.lines import tolerant_lines
from nearfield.data.readers.rows import RowFile
from nearfield.data.record import Place, Record
from nearfield.errors import InputError, first_line


class JsonLines(RowFile):
    """A file with one JSON object on each line; blank lines are skipped."""

    def tolerant(self, columns: Sequence[str] = ()) -> Iterator[Record | InputError]:
        """Each line's object, or what is wrong with the line."""
        return objects(tolerant_lines(self.path), self.path)


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
        if isinstance(value, dict):
            return Record(value, place, number)
        fault = f"holds a JSON {type(value).__name__}; wanted one object per line"
    return InputError(fault, path=place, line=number)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice[:60]!r} is there twice in one object; keep one")
    return value
