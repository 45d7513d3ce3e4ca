"""A column of texts as a sequence, read from Arrow only when a text is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nearfield.types.item import is_image_url

_BLOCK = 4096  # rows that are turned into Python strings at a time while iterating

Chosen = npt.NDArray[np.integer] | npt.NDArray[np.bool_] | Sequence[int]
"""Positions of texts, or a mask over all of them."""


class Texts(Sequence[str]):
    """Texts in Arrow columns of equal length: text i is its columns' values joined by a blank and
    stripped; or an image's data URL alone, where it is the last of them.

    An int gives a string, a slice or an array of positions (or a boolean mask) gives Texts on the
    same memory. A single column is given back as it is, unstripped.
    """

    __slots__ = ("_columns", "_positions")

    def __init__(
        self, *columns: pa.ChunkedArray, positions: npt.NDArray[np.int64] | None = None
    ) -> None:
        self._columns = columns
        self._positions = positions

    def __len__(self) -> int:
        return len(self._columns[0] if self._positions is None else self._positions)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice | Chosen) -> Texts: ...
    def __getitem__(self, index: int | slice | Chosen) -> str | Texts:
        if isinstance(index, int | np.integer):
            row = range(len(self))[index]  # a negative one counts from the end
            if self._positions is not None:
                row = int(self._positions[row])
            return self._text(row)
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step == 1 and self._positions is None:
                length = max(0, stop - start)
                return Texts(*[column.slice(start, length) for column in self._columns])
            chosen = np.arange(start, stop, step)
        else:
            asked = np.asarray(index)
            if not asked.size:
                asked = asked.astype(np.int64)  # numpy makes floats of an empty list
            chosen = np.arange(len(self))[asked]
        if self._positions is not None:
            chosen = self._positions[chosen]
        return Texts(*self._columns, positions=chosen)

    def _text(self, row: int) -> str:
        return _join([column[row].as_py() for column in self._columns])

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _BLOCK):
            if self._positions is None:
                blocks = [column.slice(start, _BLOCK).to_pylist() for column in self._columns]
                yield from map(_join, zip(*blocks, strict=True))
            else:
                for row in self._positions[start : start + _BLOCK].tolist():
                    yield self._text(row)

    def __repr__(self) -> str:
        return f"Texts({len(self)} texts)"


def _join(parts: Sequence[str]) -> str:
    if len(parts) == 1 or is_image_url(parts[-1]):
        return parts[-1]
    return " ".join(parts).strip()
