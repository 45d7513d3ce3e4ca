"""The one kind of registry: a literal table of names whose values are imported when asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from nearfield.errors import InputError, nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

T = TypeVar("T")


def imported(place: str) -> Any:
    """What is at `place`, given as "package.module:name"."""
    module, name = place.split(":")
    return getattr(import_module(module), name)


@cache
def _entry_points() -> EntryPoints | None:
    """Those of every installed distribution; None where the files of none name a group of this
    package: `importlib.metadata` takes longer than all else here.
    """
    folders = (path for path in map(Path, sys.path) if path.is_dir())
    files = (file for folder in folders for file in folder.glob("*-info/entry_points.txt"))
    if not any(b"[nearfield." in file.read_bytes() for file in files):
        return None
    from importlib.metadata import entry_points

    return entry_points()  # type: ignore[return-value]  # of Python 3.11; it selects as well


class Registry(Generic[T]):
    """Things of one kind by name, such as losses or readers.

    `table` gives each name's place as "package.module:name"; nothing is imported before it is
    asked for. Other distributions add names through the entry point group "nearfield.KIND", where
    KIND is `kind` with underscores for spaces; a name of the table cannot be replaced.
    """

    def __init__(self, kind: str, table: Mapping[str, str]) -> None:
        self.kind = kind
        self.table = table

    @cached_property
    def _plugins(self) -> Mapping[str, EntryPoint]:
        group = f"nearfield.{self.kind.replace(' ', '_')}"
        points = _entry_points()
        if points is None:
            return {}
        return {point.name: point for point in points.select(group=group)}

    def __iter__(self) -> Iterator[str]:
        yield from self.table
        yield from (name for name in self._plugins if name not in self.table)

    def __contains__(self, name: object) -> bool:
        return name in self.table or name in self._plugins

    def __getitem__(self, name: str) -> T:
        """What `name` stands for. Raises InputError for an unknown name, listing the known ones."""
        if name in self.table:
            return cast(T, imported(self.table[name]))
        if name in self._plugins:
            return cast(T, self._plugins[name].load())
        known = list(self)
        raise InputError(
            f"there is no {self.kind} {name!r}; known: {', '.join(known)}.{nearest(name, known)}"
        )
