"""Rows that hold objects, as rows of plain columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nearfield.data.columns import columns_of
from nearfield.errors import InputError

_DEEPEST = 4
_MOST_COLUMNS = 8  # of texts alone; more are texts by key
# the keys of a turn of a conversation, who says what: OpenAI's and ShareGPT's
_TALKS = (("role", "content"), ("from", "value"))


def flat(values: Mapping[str, Any], depth: int = 0) -> Mapping[str, Any]:
    """The row with a column for each part of an object, `answer.text`; of a conversation with one
    for what each side says first, `messages.user`; and of objects with a text the list of these.
    """
    # nearly all rows are flat, and stay the mapping that they are
    if not any(isinstance(value, dict | list) for value in values.values()):
        return values
    found = dict[str, Any]()
    for name, value in values.items():
        parts = _parts(value)
        if not isinstance(parts, dict) or depth == _DEEPEST or not _holds_texts(parts):
            found[name] = parts
            continue
        inner = dict[str, Any]()
        for part, of in parts.items():
            key = f"{name}.{part}"
            if key not in values:  # a column that is there already counts
                inner[key] = of
        found |= flat(inner, depth + 1)
    return found


def _holds_texts(parts: Mapping[str, Any]) -> bool:
    """Whether an object may hold texts; one of numbers alone, as a box of an image, stays one."""
    return any(isinstance(part, str | list | dict) for part in parts.values())


def _parts(value: Any) -> Any:
    """A conversation as what each says first, objects with a text as these texts; all else as it
    is.
    """
    if not _are_objects(value):
        return value
    for who, what in _TALKS:
        if all(each.keys() >= {who, what} for each in value):
            return {str(each[who]): each[what] for each in reversed(value)}
    if not all(isinstance(each.get("text"), str) for each in value):
        return value
    return [" ".join(filter(None, (each.get("title"), each["text"]))) for each in value]


def _are_objects(value: Any) -> bool:
    """Whether it is a list of objects, one at least."""
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def table_in(value: object) -> Sequence[Any] | None:
    """The rows of a JSON value: a list of objects, the only one that an object holds at any depth,
    objects by key, or columns; None where it holds none of these.
    """
    if isinstance(value, list):
        return _unfolded(value)
    if not isinstance(value, dict) or not value:
        return None
    lists = [part for part in value.values() if isinstance(part, list)]
    tables = [part for part in lists if part and isinstance(part[0], dict)]
    if len(tables) == 1:
        return _unfolded(tables[0])
    objects = [part for part in value.values() if isinstance(part, dict)]
    if len(lists) == len(value) and not tables:
        return _of_columns(value)
    if len(objects) == len(value) > 1 and len(set(map(frozenset, objects))) == 1:
        # objects with the same fields, each under its key
        return [{"key": name} | part for name, part in value.items()]
    if all(isinstance(part, str) for part in value.values()):
        if len(value) <= _MOST_COLUMNS:
            return [value]
        return [{"key": key, "value": text} for key, text in value.items()]
    if not lists and len(objects) == 1:
        return table_in(objects[0])
    return None


def _of_columns(columns: Mapping[str, list[Any]]) -> Sequence[Any] | None:
    """The rows of columns; None where they differ in length."""
    if len(set(map(len, columns.values()))) > 1:
        return None
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _unfolded(rows: Sequence[Any], depth: int = 0) -> Sequence[Any]:
    """The rows, or the rows of lists within them where only these have a query and a document, each
    with what stands around its list, as in SQuAD.
    """
    first = rows[0] if rows else None
    if depth == _DEEPEST or not isinstance(first, dict) or _paired(first):
        return rows
    for name, part in first.items():
        if isinstance(part, list):
            inner = _unfolded(list(_within(rows, name)), depth + 1)
            if inner and _paired(inner[0]):
                return inner
    return rows


def _within(rows: Sequence[Any], name: str) -> Iterator[Any]:
    """Each object of the lists called `name`, with the other fields of its list's row."""
    for row in rows:
        inner = row.get(name) if isinstance(row, dict) else None
        if not isinstance(inner, list):
            continue
        around = {key: part for key, part in row.items() if key != name}
        for each in inner:
            if isinstance(each, dict):
                yield around | each


def _paired(row: Mapping[str, Any]) -> bool:
    """Whether the row has a query and a document by its fields' names."""
    try:
        return columns_of(list(flat(row)), "").paired
    except InputError:
        return False
