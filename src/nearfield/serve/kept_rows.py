"""What a model made of texts, kept in memory while there is room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from nearfield.similarity.embeddings import Embeddings


@dataclass(frozen=True)
class Row:
    """The embeddings of one text, the tokens that were read of it, and those that did not fit."""

    embeddings: Embeddings
    tokens: int
    lost: int


class KeptRows:
    """Rows by what was asked, the last used ones; together at most `limit` bytes.

    Used by one thread at a time.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._rows: OrderedDict[Hashable, Row] = OrderedDict()

    def get(self, key: Hashable) -> Row | None:
        """The row kept under `key`; None where none is."""
        row = self._rows.get(key)
        if row is not None:
            self._rows.move_to_end(key)
        return row

    def put(self, key: Hashable, row: Row) -> None:
        """Keep a row; what was not used for longest makes room."""
        if key in self._rows:
            return
        self._rows[key] = row
        self.size += _bytes(row)
        # this may drop the row that was just put: with a limit of 0, nothing is kept
        while self.size > self.limit:
            _, dropped = self._rows.popitem(last=False)
            self.size -= _bytes(dropped)


def _bytes(row: Row) -> int:
    """Of its values, and about what Python takes for them."""
    return int(row.embeddings.bytes_per_item) + 1000
