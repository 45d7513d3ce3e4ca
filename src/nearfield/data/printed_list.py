"""A list that was printed into a table's cell, as pandas, numpy, polars or json write one where a
cell can hold no list.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator

_QUOTED = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_ITEM = re.compile(
    rf"\s*(?:np\.str_\(({_QUOTED})\)|({_QUOTED})|(None|null|nan|NaN|<NA>))(\s*,\s*|\s+|\s*$)",
    re.DOTALL,
)
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = "\\'\"abfnrtvxuUN01234567"  # what a backslash makes something else of, in Python
_ARRAY = re.compile(r"array\((\[.*\])(?:,\s*dtype=[^)]*)?\)", re.DOTALL)  # numpy's longer form


def bracketed(cell: str) -> bool:
    """Whether the cell begins and ends as a printed list does."""
    cell = cell.strip()
    if len(cell) < 2:
        return False
    return _BRACKETS.get(cell[0]) == cell[-1] or cell.startswith("array([")


def printed_list(cell: str) -> list[str] | None:
    """The texts of the list that is printed in `cell`, missing ones left out; None where it holds
    none that can be read for sure.

    Items are quoted, with commas between (Python, JSON, polars) or blanks (numpy). `[a, b]` without
    quotes and a list that was shortened with dots no longer say what the items were.
    """
    if not bracketed(cell):
        return None
    cell = cell.strip()
    array = _ARRAY.fullmatch(cell)
    if array:
        cell = array[1]
    try:
        return [text for text in _items(cell) if text is not None]
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _items(cell: str) -> Iterator[str | None]:
    """Raises ValueError or SyntaxError where the cell is something else than quoted texts between
    brackets.
    """
    try:
        value = json.loads(cell)
    except ValueError:
        value = None
    if isinstance(value, list):
        if not all(item is None or isinstance(item, str) for item in value):
            raise ValueError("items that are not texts")
        yield from value
        return
    inner = cell[1:-1].rstrip().rstrip(",")  # a tuple of one ends with a comma
    at = 0
    while at < len(inner):
        found = _ITEM.match(inner, at)
        if found is None:
            raise ValueError("not a quoted text")
        quoted = found[1] or found[2]
        yield None if quoted is None else _unquoted(quoted)
        at = found.end()


def _unquoted(quoted: str) -> str:
    """The text of a Python string literal; a backslash that begins no escape stands for itself."""
    whole = _ESCAPE.sub(lambda found: found[0] if found[1] in _ESCAPED else "\\" + found[0], quoted)
    # numpy writes line breaks as they are, which a literal cannot hold
    return str(ast.literal_eval(whole.replace("\r", "\\r").replace("\n", "\\n")))
