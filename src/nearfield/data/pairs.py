"""Rows of a query, its positive, its negatives and a score."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from nearfield.data.arrow import conform, digest, open_table, write_table
from nearfield.data.columns import Unused
from nearfield.data.manifest import check_tables, read_manifest, write_manifest
from nearfield.data.texts import Texts
from nearfield.errors import CollectionError
from nearfield.store.atomic import staged_folder

PAIRS = pa.schema(
    [
        ("query", pa.string()),
        ("positive", pa.string()),
        ("negatives", pa.list_(pa.string())),
        ("score", pa.float64()),
    ]
)
MANIFEST = "pairs.json"
TABLE = "pairs.arrow"
FORMAT = 1


@dataclass(frozen=True)
class Pairs:
    """`table` has columns query, positive (string), negatives (list of strings, may be empty),
    score (float64, null when not scored).

    The table may be memory-mapped. `source` is what the pairs were opened from, as it was named;
    the name alone may be that of its folder, and of other files in it. `unused` are columns of the
    file that it was opened from. Raises CollectionError when the table is empty, or when some rows
    are scored and others are not.
    """

    name: str
    table: pa.Table
    source: str = field(default="", compare=False)
    unused: tuple[Unused, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        table = self.table
        # the two columns that a table from elsewhere may lack
        for column in (PAIRS.field("negatives"), PAIRS.field("score")):
            if column.name not in table.column_names:
                table = table.append_column(column, pa.nulls(len(table), column.type))
        object.__setattr__(self, "table", conform(table, PAIRS, what=f"{self.called}: pairs"))
        if not len(self.table):
            raise CollectionError(
                f"{self.called}: there are no pairs; wanted at least one row of query and positive"
            )
        scores = self.table["score"]
        if 0 < scores.null_count < len(scores):
            raise CollectionError(
                f"{self.called}: {scores.null_count} of {len(scores)} pairs "
                "have no score; score all or none"
            )
        if self.scored and not pc.all(pc.is_finite(scores)).as_py():
            raise CollectionError(f"{self.called}: a score is not a finite number")

    def __len__(self) -> int:
        return len(self.table)

    @property
    def called(self) -> str:
        """What an error calls the pairs: what they were opened from, else their name."""
        return self.source or self.name

    @property
    def scored(self) -> bool:
        """Whether every pair has a score (else none has)."""
        return not self.table["score"].null_count

    @property
    def queries(self) -> Texts:
        """The query of each pair."""
        return Texts(self.table["query"])

    @property
    def positives(self) -> Texts:
        """The positive of each pair."""
        return Texts(self.table["positive"])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, over the rows in order; the name does not matter."""
        return hashlib.sha256(digest(self.table).encode()).hexdigest()

    @classmethod
    def from_table(cls, table: pa.Table, *, name: str = "pairs") -> Pairs:
        """Pairs of `table`, whose columns negatives and score may be left out."""
        return cls(name, table)

    def save(self, path: str | Path) -> None:
        """Write the pairs as a folder at `path`, whole or not at all; a folder that is there is
        replaced.
        """
        with staged_folder(path) as stage:
            write_table(stage / TABLE, self.table)
            note_pairs(stage, self.name)

    @classmethod
    def open(cls, path: str | Path, *, source: str | None = None) -> Pairs:
        """The pairs in the folder at `path`, memory-mapped; `source` is what they were made from,
        if not of that folder.

        Raises InputError when the folder holds none.
        """
        path = Path(path)
        about = read_manifest(path / MANIFEST, kind="folder of pairs", format=FORMAT)
        check_tables(about, [TABLE])
        if source is None:
            source = str(path)
        return cls(about["name"], open_table(path / TABLE), source)


def note_pairs(folder: Path, name: str) -> None:
    """Write `pairs.json` beside the table, which is finished."""
    write_manifest(folder / MANIFEST, {"format": FORMAT, "name": name}, [TABLE])
