"""Rows cut into shards, each of which is encoded at once and written whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nearfield.data.stream import Row
from nearfield.store.vector_cache import HASH, text_hash

# as many as an encoder tokenises at once: longer shards would not be packed more tightly
ROWS = 8192
# of text: bounds what the token ids and the tokeniser's own records of a shard take
BYTES = 4 << 20


@dataclass(frozen=True)
class Shard:
    """Rows that follow each other, with the hash of each text (b"" where there is none), and a
    digest of all of them.

    What a stream is cut into is read at once, and written in parts.
    """

    rows: list[Row]
    hashes: list[bytes]

    def part(self, start: int, rows: int) -> Shard:
        """So many rows from `start` on, fewer where it ends before."""
        return Shard(self.rows[start : start + rows], self.hashes[start : start + rows])

    @property
    def digest(self) -> str:
        """It changes with any id, text or fault of the rows, and with their order."""
        whole = hashlib.blake2b(digest_size=HASH)
        for row, text in zip(self.rows, self.hashes, strict=True):
            # an id may hold half of a surrogate pair, which plain UTF-8 refuses
            about = f"{row.number}\0{row.key}\0{row.fault}\0"
            whole.update(about.encode("utf-8", "surrogatepass") + text)
        return whole.hexdigest()


def cut_shards(rows: Iterable[Row], *, most_rows: int, most_bytes: int) -> Iterator[Shard]:
    """`rows` in shards of at most `most_rows` rows and `most_bytes` of text (one row at least): the
    cut depends on the rows alone.
    """
    held: list[Row] = []
    hashes: list[bytes] = []
    size = 0
    for row in rows:
        row, encoded = _checked(row)
        if held and (len(held) == most_rows or size + len(encoded) > most_bytes):
            yield Shard(held, hashes)
            held = []
            hashes = []
            size = 0
        held.append(row)
        hashes.append(b"" if row.fault else text_hash(row.text))
        size += len(encoded)
    if held:
        yield Shard(held, hashes)


def _checked(row: Row) -> tuple[Row, bytes]:
    """The row and its text's bytes; a row whose text is none, or is not Unicode, with that as its
    fault.
    """
    if row.fault:
        return row, b""
    if isinstance(row.text, str):
        try:
            # JSON's \ud800 makes a string that UTF-8 has no bytes for, and no tokeniser takes
            return row, row.text.encode()
        except UnicodeEncodeError:
            fault = f"row {row.number} holds half of a surrogate pair, which is not a character"
    else:
        fault = f"row {row.number} is a {type(row.text).__name__}; wanted text"
    return Row(row.number, row.key, "", fault), b""
