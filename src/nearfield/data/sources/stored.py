"""Collections and pairs that are whole already: open ones, the embedded ones, and those that
nearfield wrote into a folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from nearfield.data import collection, pairs
from nearfield.data.arrow import batches, conform, open_table
from nearfield.data.collection import DOCUMENTS, QUERIES, Collection
from nearfield.data.pairs import Pairs
from nearfield.data.record import Place
from nearfield.data.sources.source import Kind, Source
from nearfield.data.stream import Row, Stream
from nearfield.data.texts import Texts
from nearfield.errors import InputError
from nearfield.types.data_options import DataOptions
from nearfield.types.role import QUERY


class WholeCollection(Source):
    """A collection that `load` gives."""

    def __init__(self, place: Place, load: Callable[[], Collection]) -> None:
        super().__init__(str(place), place)
        self._load = load

    def collection(self) -> Collection:
        """The collection, as it is."""
        return self._load()


class WholePairs(Source):
    """Pairs, scored or not, of which no collection is made."""

    def __init__(self, place: Place, data: Pairs) -> None:
        super().__init__(data.name, place)
        self._data = data

    def collection(self) -> Collection:
        """Raises InputError: pairs are not a collection."""
        raise InputError(
            "holds pairs; wanted a collection: documents, queries and judgements", path=self.place
        )

    def scored(self) -> bool:
        """True: nothing else can be made of them."""
        return True

    def pairs(self) -> Pairs:
        """The pairs, as they are."""
        return self._data


class StoredCollection(Source):
    """A collection's folder, which is memory-mapped."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.name, folder)
        self._folder = folder

    def collection(self) -> Collection:
        """The collection in the folder."""
        return Collection.open(self._folder)

    def stream(self, role: str) -> Stream:
        """The documents or queries, a record batch at a time: mapped pages would count as
        memory.
        """
        if role == QUERY:
            return self._stream("queries", QUERIES, ("text",))
        return self._stream("documents", DOCUMENTS, ("title", "text"))

    def _stream(self, what: str, schema: pa.Schema, columns: tuple[str, ...]) -> Stream:
        table = self._folder / f"{what}.arrow"

        def rows() -> Iterator[Row]:
            number = 0
            for batch in batches(table):
                # as `Collection` does with the whole table: the file may not be of our making
                part = conform(pa.Table.from_batches([batch]), schema, what=str(table))
                texts = Texts(*[part[column] for column in columns])
                for key, text in zip(Texts(part["id"]), texts, strict=True):
                    number += 1
                    yield Row(number, key, text)

        return Stream(self.name, rows, lambda: len(open_table(table)))


def _recognise(given: object, options: DataOptions) -> Source | None:
    if isinstance(given, Collection):
        return WholeCollection(given.name, lambda: given)
    if isinstance(given, Pairs):
        return WholePairs(given.called, given)
    if isinstance(given, Path) and (given / collection.MANIFEST).is_file():
        return StoredCollection(given)
    if isinstance(given, Path) and (given / pairs.MANIFEST).is_file():
        return WholePairs(given, Pairs.open(given))
    return None


WHOLE = Kind("a folder that nearfield wrote", _recognise)
