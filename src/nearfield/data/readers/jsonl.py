"""JSON lines: one object a line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nearfield.data.readers import Record, TolerantRecord
from nearfield.data.readers.lines import strict, tolerant_lines
from nearfield.errors import InputError, first_line


def records(path: Path) -> Iterator[Record]:
    """Each line's object; blank lines are skipped. Raises InputError that names the line that holds
    none.
    """
    return strict(tolerant_records(path))


def tolerant_records(path: Path) -> Iterator[TolerantRecord]:
    """The same, with the error in the place of a line that holds no object."""
    return objects(tolerant_lines(path), path)


def objects(lines: Iterable[tuple[int, str | InputError]], path: Path) -> Iterator[TolerantRecord]:
    """The object that each of `lines` holds, or what is wrong with it; `path` is what errors call
    their file.
    """
    for number, line in lines:
        if isinstance(line, InputError):
            yield number, line
        elif line.strip():
            try:
                yield number, _object(line, path, number)
            except InputError as error:
                yield number, error


def _object(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        message = f"is not JSON: {error.msg} at column {error.colno}; wanted one JSON object a line"
        raise InputError(message, path=path, line=number) from error
    except RecursionError as error:
        raise InputError(
            "the JSON is nested too deep; wanted a flat object", path=path, line=number
        ) from error
    # a key that comes twice, an integer of more digits than Python converts
    except ValueError as error:
        raise InputError(
            f"is not usable JSON: {first_line(error)}", path=path, line=number
        ) from error
    if not isinstance(value, dict):
        raise InputError(
            f"holds a JSON {type(value).__name__}; wanted one object a line", path=path, line=number
        )
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice[:60]!r} is there twice in one object; keep one")
    return value
