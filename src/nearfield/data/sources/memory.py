"""Lists in memory: of strings and images, or of dicts with named columns; and tables by split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeGuard

from nearfield.data.readers.image import image_url
from nearfield.data.readers.nested import flat
from nearfield.data.readers.rows import Rows
from nearfield.data.record import SPLIT_NAMES, Record
from nearfield.data.sources.frames import frame_rows
from nearfield.data.sources.row_source import RowSource
from nearfield.data.sources.source import Kind
from nearfield.errors import InputError
from nearfield.types.data_options import DataOptions

NAME = "data"
"""What data in memory is called."""
_DOCUMENTS: Final = str | Path | bytes


class ListRows(Rows):
    """A sequence of dicts, or of documents: strings, and images as paths or the bytes of files. A
    row's line is its number.
    """

    def __init__(self, given: Sequence[object], split: str, options: DataOptions) -> None:
        super().__init__(f"<{type(given).__name__}>", split, options=options)
        self._given = given
        self._wanted: Any = Mapping
        if given and isinstance(given[0], _DOCUMENTS):
            self._wanted = _DOCUMENTS

    def tolerant(self, columns: Sequence[str] = ()) -> Iterator[Record | InputError]:
        """Each row, or what is wrong with it."""
        for number, row in enumerate(self._given, 1):
            if not isinstance(row, self._wanted):
                wanted = "a dict with named columns" if self._wanted is Mapping else "a string"
                message = f"is of type {type(row).__name__}; wanted {wanted}, as the first one is"
                yield InputError(message, path=self.place, line=number)
            elif isinstance(row, Mapping):
                yield Record(flat(row), self.place, number)
            elif isinstance(row, str):
                yield Record({"text": row}, self.place, number)
            else:
                yield self._image(row, number)

    def _image(self, image: Any, number: int) -> Record | InputError:
        try:
            return Record({"text": image_url(image)}, self.place, number)
        except InputError as error:
            return InputError(str(error), path=self.place, line=number)

    def count(self) -> int:
        """The number of rows."""
        return len(self._given)


def _recognise(given: object, options: DataOptions) -> RowSource | None:
    if isinstance(given, Mapping):
        return _by_split(given, options)
    rows = _rows(given, options)
    if rows is None:
        return None
    field = "text" if _is_list(given, _DOCUMENTS) else ""
    return RowSource(NAME, rows.place, [rows], field=field)


def _by_split(given: Mapping[object, object], options: DataOptions) -> RowSource | None:
    # each name a split and each part a table, or it is something else
    tables = []
    for name, part in given.items():
        split = SPLIT_NAMES.get(str(name).lower())
        if split is None:
            return None
        rows = _rows(part, options, split)
        if rows is None:
            return None
        tables.append(rows)
    if tables:
        return RowSource(NAME, f"<{type(given).__name__}>", tables)
    return None


def _rows(given: object, options: DataOptions, split: str = "") -> Rows | None:
    if _is_list(given):
        return ListRows(given, split, options)
    return frame_rows(given, split, options)


def _is_list(given: object, kinds: Any = _DOCUMENTS | Mapping) -> TypeGuard[Sequence[object]]:
    """Whether it is a sequence, not empty, of documents or dicts, by its first item."""
    if not isinstance(given, Sequence) or isinstance(given, str | bytes) or not given:
        return False
    return isinstance(given[0], kinds)  # the others are looked at when they are read


MEMORY = Kind(
    "a list of strings and images, a list of dicts, a table (pandas, polars, Arrow, Hugging Face "
    "datasets), a dict of them by split (train, dev, test)",
    _recognise,
    ("object",),
)
