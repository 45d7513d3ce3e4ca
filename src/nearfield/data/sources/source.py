"""What every source of data has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from nearfield.data.cache import through_cache
from nearfield.data.collection import Collection, RepeatedId
from nearfield.data.labelled import Labelled
from nearfield.data.pairs import Pairs
from nearfield.data.readers.rows import Rows
from nearfield.data.record import SPLIT_NAMES, Place, Record
from nearfield.data.stream import Stream, collection_stream
from nearfield.data.writer import CollectionWriter
from nearfield.errors import CollectionError, InputError
from nearfield.types.data_options import DataOptions


class Source(ABC):
    """Data that was recognised and is not read yet. `place` is what errors call it."""

    def __init__(self, name: str, place: Place) -> None:
        self.name = name
        self.place = place
        self.read_as = ""  # in words, where it is no table

    @abstractmethod
    def collection(self) -> Collection:
        """The data as a collection. Raises InputError that names the file and line that is not what
        was wanted.
        """

    def tables_read(self) -> Sequence[Rows]:
        """The tables of rows that it is read from; none where it is something else."""
        return ()

    def scored(self) -> bool:
        """Whether the data are pairs with scores, which make no collection."""
        return False

    def labelled(self) -> Labelled | None:
        """The data as texts with labels; None where they have none."""
        return None

    def pairs(self) -> Pairs:
        """The data as pairs. Raises InputError where they hold none."""
        raise InputError(
            "is a collection; pairs are opened by file, or from a folder of scored files called "
            "train, dev, test",
            path=self.place,
        )

    def stream(self, role: str) -> Stream:
        """The texts to encode in `role`, in bounded memory where the source allows it."""
        return collection_stream(self.collection(), role)

    def field(self, name: str) -> Stream:
        """One field of each row. Raises InputError where there are no fields."""
        raise InputError(
            f"has no fields, and {name!r} was asked for; only files and tables of rows have",
            path=self.place,
        )


class Kind(NamedTuple):
    """A kind of source: what an error says is accepted, and `recognise(given, options)`, which
    gives None for anything else. A kind without columns leaves the options unread. It `takes` a
    file, a folder or an object.

    `given` is the path of a file or folder that exists, or an object.
    """

    wanted: str
    recognise: Callable[[Any, DataOptions], Source | None]
    takes: Sequence[str] = ("folder",)


def name_of(path: Path) -> str:
    """The folder's or file's name without its ending; that of its folder for names that say
    nothing, such as pairs or test.
    """
    path = path.resolve()
    name = path.name if path.is_dir() else path.stem
    if not path.is_dir() and path.stem.lower() in ("pairs", *SPLIT_NAMES):
        name = path.parent.name
    return name.encode("utf-8", "replace").decode()  # of a file name that is not UTF-8


def converted(
    name: str,
    write: Callable[[CollectionWriter], bool],
    *,
    key: Callable[[], str] | None,
    ids: Mapping[str, Sequence[Rows]],
) -> Collection:
    """The collection that `write` writes; it answers True where that is documents only.

    It is kept in the cache under `key`, where there is one. `ids` are the rows that hold the ids of
    documents and of queries, where one that is used twice is looked for.
    """

    def make(folder: Path | None) -> Collection:
        writer = CollectionWriter(name, folder)
        documents_only = write(writer)
        try:
            return writer.finish(documents_only=documents_only)
        except RepeatedId as error:
            raise _located(error, ids.get(error.what, ())) from error

    return through_cache(key, make, open_folder=Collection.open)


def _located(error: RepeatedId, tables: Sequence[Rows]) -> CollectionError:
    """The error with the file and line of the id's second use, looked for only now."""
    first: Record | None = None
    for record in chain.from_iterable(tables):
        key = str(record.values.get("_id", record.values.get("id"))).strip()
        if key != error.key:
            continue
        if first is None:
            first = record
            continue
        before = f"line {first.line}"
        if first.place != record.place:
            before = f"{first.place}, {before}"
        return CollectionError(
            f"{error.what} id {error.key!r} is used more than once, before in {before}; ids must "
            "be unique",
            path=record.place,
            line=record.line,
        )
    return error
