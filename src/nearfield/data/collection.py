"""Documents, queries and relevance judgements with named splits, as Arrow tables."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearfield.data.arrow import conform, digest, open_table, positions, write_table
from nearfield.data.columns import Unused
from nearfield.data.manifest import check_tables, read_manifest, write_manifest
from nearfield.data.texts import Texts
from nearfield.errors import CollectionError, nearest
from nearfield.store.atomic import read_folder, staged_folder
from nearfield.types.arrays import Integers

DOCUMENTS = pa.schema(
    [("id", pa.string()), ("title", pa.string()), ("text", pa.string()), ("group", pa.string())]
)
QUERIES = pa.schema([("id", pa.string()), ("text", pa.string()), ("group", pa.string())])
JUDGEMENTS = pa.schema(
    [
        ("query", pa.string()),
        ("document", pa.string()),
        ("relevance", pa.int32()),
        ("split", pa.string()),
    ]
)
TABLES = {"documents": DOCUMENTS, "queries": QUERIES, "judgements": JUDGEMENTS}
MANIFEST = "collection.json"
FILES = tuple(f"{what}.arrow" for what in TABLES)
ALL = "all"
"""The split of data that names none, and a name for all splits together."""
FORMAT = 1


@dataclass(frozen=True)
class Split:
    """The judged queries of one split, in the collection's order of queries.

    `relevance` maps query id to document id to relevance; each query has at least one document of
    relevance above 0.
    """

    name: str
    collection: Collection = field(repr=False)
    query_ids: tuple[str, ...]
    query_texts: tuple[str, ...]
    relevance: dict[str, dict[str, int]] = field(repr=False)

    @cached_property
    def relevant(self) -> list[list[str]]:
        """The ids of each query's relevant documents."""
        judged = self.relevance.values()
        return [[key for key, grade in grades.items() if grade > 0] for grades in judged]

    @cached_property
    def own_documents(self) -> Integers:
        """(n,) int64, the position of the document that has the query's own id; -1 for none.

        It is the query itself, as in ArguAna and Quora. One that is judged relevant does not count:
        then queries and documents were only numbered alike.
        """
        own = self.collection.document_positions(self.query_ids)
        # `relevance` has documents by their ids: the query's id asks for its own document
        found = zip(self.query_ids, self.relevant, strict=True)
        return np.where([key in relevant for key, relevant in found], -1, own)

    @property
    def left_out(self) -> Integers | None:
        """The document that is left out of each query's ranking: its own, as BEIR has it; None
        where the collection says `keep_own`.
        """
        if self.collection.keep_own:
            return None
        return self.own_documents

    def part(self, rows: Sequence[int], *, name: str = "") -> Split:
        """Its queries at `rows`, under another name where one is given."""
        ids = tuple(self.query_ids[row] for row in rows)
        texts = tuple(self.query_texts[row] for row in rows)
        relevance = {key: self.relevance[key] for key in ids}
        return Split(name or self.name, self.collection, ids, texts, relevance)


class RepeatedId(CollectionError):
    """An id is used by two documents, or by two queries; `what` says which, `key` is the id."""

    def __init__(self, name: str, what: str, key: str) -> None:
        super().__init__(f"{name}: {what} id {key!r} is used more than once; ids must be unique")
        self.what = what
        self.key = key


@dataclass(frozen=True)
class Collection:
    """Documents (id, title, text, group), queries (id, text, group), judgements (query, document,
    relevance, split).

    Relevance is an int32, above 0 where the document answers the query. A group ("" for none) names
    what must not be in two splits. The tables may be memory-mapped. `unused` are columns of the
    files that it was opened from. `cut` says how nearfield cut the splits, "" where they are the
    data's own. `keep_own` leaves a document in the ranking of the query that has its id. Raises
    CollectionError for an id that is empty or used twice, and when there is no document, or no
    query and the collection was not declared `documents_only`.
    """

    name: str
    documents: pa.Table
    queries: pa.Table
    judgements: pa.Table
    documents_only: bool = False
    unused: tuple[Unused, ...] = field(default=(), compare=False)
    cut: str = field(default="", compare=False)
    keep_own: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        for what, schema in TABLES.items():
            table = conform(getattr(self, what), schema, what=f"{self.name}: {what}")
            object.__setattr__(self, what, table)  # frozen, but for itself
        self._check_ids("document", self.documents["id"])
        self._check_ids("query", self.queries["id"])
        if self.judgements["relevance"].null_count:
            raise CollectionError(
                f"{self.name}: a judgement has no relevance; give each a whole number"
            )
        if not len(self.documents):
            raise CollectionError(f"{self.name}: the collection is empty: it has no documents")
        if not len(self.queries) and not self.documents_only:
            raise CollectionError(
                f"{self.name}: the collection has {len(self.documents)} documents and no queries; "
                "add queries and judgements"
            )

    def _check_ids(self, what: str, ids: pa.ChunkedArray) -> None:
        repeated = _repeated(ids)
        if repeated is not None:
            raise RepeatedId(self.name, what, repeated)
        # no comparison with "": pyarrow imports pandas to make it a scalar
        if pc.min(pc.binary_length(ids)).as_py() == 0:
            raise CollectionError(f"{self.name}: a {what} has an empty id; give each one its own")

    @property
    def document_ids(self) -> Texts:
        """Ids of the documents in their order."""
        return Texts(self.documents["id"])

    @property
    def document_texts(self) -> Texts:
        """What is encoded of each document: its title, a blank and its text, stripped, as BEIR and
        MTEB join them.
        """
        return Texts(self.documents["title"], self.documents["text"])

    @property
    def query_ids(self) -> Texts:
        """Ids of all queries, judged or not, in their order."""
        return Texts(self.queries["id"])

    @property
    def query_texts(self) -> Texts:
        """All queries, judged or not, in the order of `query_ids`."""
        return Texts(self.queries["text"])

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that have judgements: train, dev, test first, then the others by
        name.
        """
        names = pc.unique(self.judgements["split"]).to_pylist()
        first = [name for name in ("train", "dev", "test") if name in names]
        return (*first, *sorted(set(names) - set(first)))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, over all three tables' content in order; the name and how Arrow chunks
        the tables do not matter.
        """
        tables = (self.documents, self.queries, self.judgements)
        return hashlib.sha256("".join(map(digest, tables)).encode()).hexdigest()

    def document_positions(self, ids: Sequence[str]) -> Integers:
        """Row of each document id: (n,) int64, -1 where the collection has no such document."""
        return positions(pa.array(list(ids), pa.string()), self.documents["id"])

    def split(self, name: str) -> Split:
        """The judged queries of the split called `name`; of all splits together for "all", where
        none is called so.

        Judgements of queries that the collection does not have are left out; of two on one document
        the higher holds. Raises CollectionError when there is no such split, or when it has no
        query with a relevant document.
        """
        own = self.judgements
        if name in self.splits:
            own = own.filter(pc.equal(own["split"], name))
        elif name != ALL or not self.splits:
            known = "it has no judgements at all; nearfield judge makes some."
            if self.splits:
                known = f"it has {', '.join(self.splits)}.{nearest(name, self.splits)}"
            raise CollectionError(f"{self.name} has no split {name!r}; {known}")
        judged = _relevance(own)
        # in the collection's order of queries, not in that of the judgements
        texts = {}
        for key, text in zip(self.query_ids, self.query_texts, strict=True):
            if key in judged:
                texts[key] = text
        if not texts:
            raise CollectionError(
                f"{self.name}: split {name!r} has no judged query: none of its judgements names a "
                "known query and a relevance above 0"
            )
        relevance = {key: judged[key] for key in texts}
        return Split(name, self, tuple(texts), tuple(texts.values()), relevance)

    def save(self, path: str | Path) -> None:
        """Write the collection as a folder of Arrow files at `path`, whole or not at all; a folder
        that is there is replaced.
        """
        with staged_folder(path) as stage:
            for what in TABLES:
                write_table(stage / f"{what}.arrow", getattr(self, what))
            note_collection(stage, self.name, documents_only=self.documents_only)

    @classmethod
    def open(cls, path: str | Path) -> Collection:
        """The collection in the folder at `path`, memory-mapped. Raises InputError when the folder
        holds none.
        """
        return read_folder(path, cls._read)

    @classmethod
    def _read(cls, path: Path) -> Collection:
        about = read_manifest(path / MANIFEST, kind="collection", format=FORMAT)
        check_tables(about, FILES)
        tables = {what: open_table(path / f"{what}.arrow") for what in TABLES}
        return cls(about["name"], **tables, documents_only=about.flag("documents_only", False))


def note_collection(folder: Path, name: str, *, documents_only: bool) -> None:
    """Write `collection.json` beside the three tables, which are finished."""
    facts = {"format": FORMAT, "name": name, "documents_only": documents_only}
    write_manifest(folder / MANIFEST, facts, FILES)


def _repeated(ids: pa.ChunkedArray) -> str | None:
    """The first id that comes again; None where none does, which is found out faster."""
    if pc.count_distinct(ids).as_py() == len(ids):
        return None
    counts = pc.value_counts(ids)
    again = counts.filter(pc.greater(counts.field("counts"), 1))
    return str(again[0]["values"].as_py())


def _relevance(judgements: pa.Table) -> dict[str, dict[str, int]]:
    """Query to document to relevance, of the queries with a relevant document."""
    relevance: dict[str, dict[str, int]] = {}
    for query, document, grade in zip(
        judgements["query"].to_pylist(),
        judgements["document"].to_pylist(),
        judgements["relevance"].to_pylist(),
        strict=True,
    ):
        grades = relevance.setdefault(query, {})
        grades[document] = max(grade, grades.get(document, grade))
    return {query: grades for query, grades in relevance.items() if max(grades.values()) > 0}
