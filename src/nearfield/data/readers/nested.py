"""Rows that hold objects, as rows of plain columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nearfield.data.columns import columns_of
from nearfield.errors import InputError

_DEEPEST = 4
_MOST_COLUMNS = 8  # of texts alone; more are texts by key
_TALKS = (("role", "content"), ("from", "value"))
"""The keys of a turn of a conversation: who says what."""


def flat(values: Mapping[str, Any], depth: int = 0) -> Mapping[str, Any]:
    """The row with a column for each part of an object, `answer.text`; of a conversation with one
    for what each side says first, `messages.user`; and of objects with a text the list of these.
    """
    if not any(isinstance(value, dict | list) for value in values.values()):
        return values
    found = dict[str, Any]()
    for name, value in values.items():
        parts = _parts(value)
        if isinstance(parts, dict) and depth < _DEEPEST and _speaks(parts):
            parts = {f"{name}.{part}": of for part, of in parts.items()}
            found |= flat({key: of for key, of in parts.items() if key not in values}, depth + 1)
        else:
            found[name] = parts
    return found


def _speaks(parts: Mapping[str, Any]) -> bool:
    return any(isinstance(part, str | list | dict) for part in parts.values())


def _parts(value: Any) -> Any:
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(each, dict) for each in value)
    ):
        return value
    for who, what in _TALKS:
        if all(each.keys() >= {who, what} for each in value):
            return {str(each[who]): each[what] for each in reversed(value)}
    if all(isinstance(each.get("text"), str) for each in value):
        return [" ".join(filter(None, (each.get("title"), each["text"]))) for each in value]
    return value


def table_in(value: object) -> Sequence[Any] | None:
    """The rows of a JSON value: a list of objects, the only one that an object holds at any depth,
    objects by key, or columns; None where it holds none of these.
    """
    if isinstance(value, list):
        return _unfolded(value)
    if not isinstance(value, dict) or not value:
        return None
    lists = {name: part for name, part in value.items() if isinstance(part, list)}
    tables = [part for part in lists.values() if part and isinstance(part[0], dict)]
    if len(tables) == 1:
        return _unfolded(tables[0])
    lengths = {len(part) for part in lists.values()}
    if lists and not tables and len(lists) == len(value) and len(lengths) == 1:
        rows = zip(*lists.values(), strict=True)
        return [dict(zip(lists, row, strict=True)) for row in rows]
    objects = [part for part in value.values() if isinstance(part, dict)]
    if len(objects) == len(value) > 1 and len({frozenset(part) for part in objects}) == 1:
        return [{"key": name} | part for name, part in value.items()]
    if all(isinstance(part, str) for part in value.values()):
        many = len(value) > _MOST_COLUMNS
        if many:
            return [{"key": key, "value": of} for key, of in value.items()]
        return [value]
    if not lists and len(objects) == 1:
        return table_in(objects[0])
    return None


def _unfolded(rows: Sequence[Any], depth: int = 0) -> Sequence[Any]:
    """The rows, or the rows of lists within them where only these have a query and a document, each
    with what stands around its list, as in SQuAD.
    """
    first = rows[0] if rows else None
    if depth == _DEEPEST or not isinstance(first, dict) or _paired(first):
        return rows
    lists = [name for name, part in first.items() if isinstance(part, list)]
    for name in lists:
        inner = _unfolded(list(_within(rows, name)), depth + 1)
        if inner and isinstance(inner[0], dict) and _paired(inner[0]):
            return inner
    return rows


def _within(rows: Sequence[Any], name: str) -> Iterator[Any]:
    for row in rows:
        inner = row.get(name) if isinstance(row, dict) else None
        if isinstance(inner, list):
            around = {key: part for key, part in row.items() if key != name}
            yield from (around | each for each in inner if isinstance(each, dict))


def _paired(row: Mapping[str, Any]) -> bool:
    try:
        return columns_of(list(flat(row)), "").paired
    except InputError:
        return False
