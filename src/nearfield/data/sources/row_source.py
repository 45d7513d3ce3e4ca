"""Rows as a collection, as pairs, or as texts to encode."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path, PurePath

from nearfield.data.cache import files_key, through_cache
from nearfield.data.collection import Collection
from nearfield.data.labelled import Labelled
from nearfield.data.pairs import Pairs
from nearfield.data.readers.figures import has_figures
from nearfield.data.readers.rows import Rows, unused_columns
from nearfield.data.record import Place
from nearfield.data.sources.row_links import own_links, write_links
from nearfield.data.sources.row_writing import write_collection, write_pairs
from nearfield.data.sources.source import Source, converted
from nearfield.data.stream import Stream, document_stream, field_stream
from nearfield.data.writer import CollectionWriter, PairsWriter
from nearfield.errors import InputError
from nearfield.types.role import QUERY

log = logging.getLogger(__name__)


class RowSource(Source):
    """One table of rows, or one for each split.

    Where the tables are `files`, a converted copy is kept in the cache. Where a `field` is named,
    it is what is encoded in any role.
    """

    def __init__(
        self,
        name: str,
        place: Place,
        tables: Sequence[Rows],
        *,
        files: bool = False,
        field: str = "",
    ) -> None:
        super().__init__(name, place)
        self.tables = tables
        self._files = files
        self._field = field

    def collection(self) -> Collection:
        """The rows' texts, each one document or query; documents only where no row is a pair."""
        unused = tuple(filter(None, map(unused_columns, self.tables)))
        found = converted(
            self.name,
            self._write,
            key=self._key("rows", self.tables),
            ids={"document": self.tables, "query": self.tables},
        )
        if unused:
            return replace(found, unused=unused)
        return found

    def _write(self, writer: CollectionWriter) -> bool:
        links = None
        if len(self.tables) == 1:
            links = own_links(self.tables[0])
        if links is None:
            return write_collection(self.tables, writer)
        write_links(links, writer)
        return False

    def tables_read(self) -> Sequence[Rows]:
        """The tables."""
        return self.tables

    def scored(self) -> bool:
        """Whether all tables have scores."""
        return all(rows.layout.score is not None for rows in self.tables)

    def labelled(self) -> Labelled | None:
        """Documents that have a label each."""
        rows: list[tuple[str, str, str]] = []
        for table in self.tables:
            columns = table.layout
            label = columns.label
            if columns.text is None or label is None:
                return None
            for record in table:
                split = record.split(columns.split) or table.split
                rows.append((record.text(columns.text), record.name(label), split))
        return Labelled.of(rows, name=self.name, place=self.place)

    def pairs(self) -> Pairs:
        """The rows' pairs, scored or not; of several tables the scored one of the test split."""
        rows = self.tables[0] if len(self.tables) == 1 else self._scored_table()
        source = str(rows.place)
        unused = unused_columns(rows)

        def make(folder: Path | None) -> Pairs:
            writer = PairsWriter(self.name, folder, source=source)
            write_pairs(rows, writer)
            return writer.finish()

        found = through_cache(
            self._key("pairs", [rows]),
            make,
            open_folder=lambda folder: Pairs.open(folder, source=source),
        )
        if unused is None:
            return found
        return replace(found, unused=(unused,))

    def stream(self, role: str) -> Stream:
        """Documents that have ids, as they are read; other rows go through a collection."""
        if self._field:
            return field_stream(self.tables[0], self._field, name=PurePath(self.place).name)
        # without ids of their own, equal texts are one document, which only a collection knows
        if len(self.tables) == 1 and role != QUERY:
            columns = self.tables[0].layout
            if not columns.paired and columns.id is not None:
                return document_stream(self.tables[0], columns, name=PurePath(self.place).name)
        return super().stream(role)

    def field(self, name: str) -> Stream:
        """One field of each row of the only table."""
        if len(self.tables) > 1 or self._field:
            return super().field(name)
        return field_stream(self.tables[0], name, name=PurePath(self.place).name)

    def _key(self, kind: str, tables: Sequence[Rows]) -> Callable[[], str] | None:
        # images that rows name may change while the rows' own files stay the same
        if not self._files or any(map(has_figures, tables)):
            return None
        files = list(chain.from_iterable(rows.files() for rows in tables))
        return lambda: files_key(f"{kind} {tables[0].options.given()}", files)

    def _scored_table(self) -> Rows:
        """The test table of those that have scores, or the only one; the log says which."""
        scored = [rows for rows in self.tables if rows.layout.score is not None]
        if not scored:
            raise InputError(
                "holds no scored rows; pairs are opened by file, or from a folder of scored files "
                "called train, dev, test",
                path=self.place,
            )
        tests = [rows for rows in scored if rows.split == "test"]
        if not tests and len(scored) > 1:
            names = [PurePath(rows.place).name for rows in scored]
            raise InputError(
                f"has scored files ({', '.join(names)}) and none called test; name one",
                path=self.place,
            )
        chosen = (tests or scored)[0]
        message = f"{self.place}: its rows are scored pairs; {PurePath(chosen.place).name} is used"
        others = [PurePath(rows.place).name for rows in scored if rows is not chosen]
        if others:
            message += f", not {', '.join(others)}"
        log.info(message)
        return chosen
