"""JSON lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nearfield.data.readers import Record
from nearfield.data.readers.lines import lines
from nearfield.errors import InputError


def records(path: Path) -> Iterator[Record]:
    """Each line's object; blank lines are skipped. Raises InputError that names the line that holds none."""
    for number, line in lines(path):
        if line.strip():
            yield number, _object(line, path, number)


def _object(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        message = f"is not JSON: {error.msg} at column {error.colno}; wanted one JSON object a line"
        raise InputError(message, path=path, line=number) from error
    except RecursionError as error:
        raise InputError("the JSON is nested too deep; wanted a flat object", path=path, line=number) from error
    if not isinstance(value, dict):
        raise InputError(f"holds a JSON {type(value).__name__}; wanted one object a line", path=path, line=number)
    return value
