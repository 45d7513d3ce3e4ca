"""The data as the checks see it: two columns of texts and what joins them, each costly view
computed once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from nearfield.data.arrow import positions
from nearfield.data.collection import Collection
from nearfield.data.doctor.minhash import (
    DOCUMENT_RUNS,
    DOCUMENT_THRESHOLD,
    QUERY_RUNS,
    QUERY_THRESHOLD,
    NearPairs,
    near_duplicates,
)
from nearfield.data.doctor.words import Hashes, digests, normalised, wording
from nearfield.data.pairs import Pairs
from nearfield.data.texts import Texts
from nearfield.types.arrays import Floats, Integers, Mask, Positions
from nearfield.types.contract import Contract

_MADE = re.compile(r"[0-9a-f]{16}")  # the id of a text that had none, see `made_id`
_SHOWN = 80  # characters of a text in an example
First = Callable[[Sequence[str], Sequence[str]], Positions]
"""`first(documents, queries)`: (queries,) the position of the document that words alone rank first,
-1 where they find none.
"""


@dataclass(frozen=True)
class ModelFacts:
    """What the doctor asks of a model: its contract, and `count_tokens(texts)` -> (n,) tokens,
    special ones included, uncut.

    `unread(texts)` counts the letters that its tokeniser does not know, by script, and all letters;
    `multilingual` names other models. `similarities(queries, documents)` is (n, m).
    """

    contract: Contract
    count_tokens: Callable[[Sequence[str]], Integers]
    unread: Callable[[Sequence[str]], tuple[Counter[str], int]] | None = None
    multilingual: tuple[str, ...] = ()
    similarities: Callable[[Sequence[str], Sequence[str]], Floats] | None = None


@dataclass(frozen=True)
class Judged:
    """Judgements as positions: `query`, `document` (n,) int64, -1 where the id is unknown;
    `relevance` (n,); `split` (n,) into `splits`.
    """

    query: Positions
    document: Positions
    relevance: Integers
    split: Positions
    splits: tuple[str, ...]

    @cached_property
    def positive(self) -> Mask:
        """Where both ids are known and the document is relevant."""
        return (self.query >= 0) & (self.document >= 0) & (self.relevance > 0)

    @cached_property
    def positive_query(self) -> Positions:
        """(p,) the query of each judgement that is `positive`."""
        return self.query[self.positive]

    @cached_property
    def positive_document(self) -> Positions:
        """(p,) the document of each judgement that is `positive`."""
        return self.document[self.positive]

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """The query and document of each judgement that is `positive`."""
        return list(zip(self.positive_query.tolist(), self.positive_document.tolist(), strict=True))

    @cached_property
    def answered(self) -> Positions:
        """The queries with a positive, each once, ascending."""
        return np.unique(self.positive_query)

    @cached_property
    def trained(self) -> Mask:
        """Where the judgement's split is trained on: its name begins with `train`."""
        names = [name.casefold() for name in self.splits]
        return np.isin(
            self.split, [code for code, name in enumerate(names) if name.startswith("train")]
        )

    def positives_of(self, part: Mask) -> Mask:
        """Where a judgement is positive, within `part` where that has any."""
        within = self.positive & part
        return within if within.any() else self.positive


class Subject:
    """Queries, documents and judgements of a collection, or of pairs: there row i judges query i to
    document i.

    `first` ranks by words alone and `model` is the one that the data is for, where these are to be
    looked at.
    """

    def __init__(
        self,
        data: Collection | Pairs,
        first: First | None = None,
        model: ModelFacts | None = None,
    ) -> None:
        self.data = data
        self.first = first
        self.model = model
        self.queries = data.query_texts if isinstance(data, Collection) else data.queries
        self.documents = data.document_texts if isinstance(data, Collection) else data.positives

    @cached_property
    def first_queries(self) -> Positions:
        """For each query the first with the same wording."""
        return first_of_each(self.query_keys)

    @cached_property
    def first_documents(self) -> Positions:
        """For each document the first with the same text."""
        return first_of_each(self.document_keys)

    @property
    def collection(self) -> Collection:
        """The data, for a check that examines collections only."""
        assert isinstance(self.data, Collection)
        return self.data

    @property
    def pairs(self) -> Pairs:
        """The data, for a check that examines pairs only."""
        assert isinstance(self.data, Pairs)
        return self.data

    def name_query(self, position: int) -> str:
        """How an example calls this query."""
        if isinstance(self.data, Pairs):
            return f"row {position + 1}"
        return f"query {_named(self.data.query_ids[position], self.queries[position])}"

    def name_document(self, position: int) -> str:
        """How an example calls this document."""
        if isinstance(self.data, Pairs):
            return f"row {position + 1}"
        return f"document {_named(self.data.document_ids[position], self.documents[position])}"

    def show_query(self, position: int) -> str:
        """The query's name and the start of its text."""
        return _shown(self.name_query(position), shorten(self.queries[position]))

    def show_document(self, position: int) -> str:
        """The document's name and the start of its text."""
        return _shown(self.name_document(position), shorten(self.documents[position]))

    @cached_property
    def judged(self) -> Judged:
        """All judgements, with ids turned into positions."""
        if isinstance(self.data, Pairs):
            # row i judges query i to document i, all in one split without a name
            rows = np.arange(len(self.queries))
            return Judged(rows, rows, np.ones_like(rows), np.zeros_like(rows), ("",))
        table = self.data.judgements
        splits = self.data.splits
        return Judged(
            positions(table["query"], self.data.queries["id"]),
            positions(table["document"], self.data.documents["id"]),
            table["relevance"].to_numpy().astype(np.int64),
            positions(table["split"], pa.array(splits, pa.string())),
            splits,
        )

    @cached_property
    def document_keys(self) -> Hashes:
        """Equal where two documents are equal but for case and blanks; empty ones, which are
        another finding's, equal none.
        """
        return _empty_apart(map(normalised, self.documents))

    @cached_property
    def query_keys(self) -> Hashes:
        """Equal where two queries are equal but for case, blanks and punctuation; empty ones equal
        none.
        """
        return _empty_apart(map(wording, self.queries))

    @cached_property
    def near_documents(self) -> NearPairs:
        """Near-duplicates among the distinct documents (the first of each exact group stands for
        it).
        """
        return _near_among(self.documents, self.document_keys, DOCUMENT_THRESHOLD, DOCUMENT_RUNS)

    @cached_property
    def near_queries(self) -> NearPairs:
        """Near-duplicates among the distinct queries (the first of each exact group stands
        for it).
        """
        return _near_among(self.queries, self.query_keys, QUERY_THRESHOLD, QUERY_RUNS)


def _named(key: str, text: str) -> str:
    """An id as its source has it; in the place of one that nearfield made the text."""
    if _MADE.fullmatch(key):
        return shorten(text)
    return repr(key)


def _shown(name: str, text: str) -> str:
    """The name and the text, which may be what the name ends with."""
    return name if name.endswith(text) else f"{name} {text}"


def shorten(text: str) -> str:
    """The start of `text` on one line, in quotation marks."""
    line = " ".join(text.split())
    if len(line) > _SHOWN:
        line = line[: _SHOWN - 1].rstrip() + "…"
    return f'"{line}"'


def first_of_each(keys: Hashes) -> Positions:
    """For each row, the first row with the same key: (n,) int64; equal to the row itself where it
    is the first.
    """
    # `first` is where each distinct key stands first, `group` which of them each row has
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    return np.asarray(first[group], dtype=np.int64)


def sample(count: int, most: int) -> Positions:
    """At most `most` of `count` positions, evenly spaced, so that the same data gives the same
    findings.
    """
    if count:
        return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
    return np.zeros(0, dtype=np.int64)


def _near_among(texts: Texts, keys: Hashes, threshold: float, sizes: tuple[int, ...]) -> NearPairs:
    distinct = np.unique(first_of_each(keys))
    found = near_duplicates(texts[distinct], threshold=threshold, sizes=sizes)
    return NearPairs(distinct[found.first], distinct[found.second], found.similarity)


def _empty_apart(texts: Iterable[str]) -> Hashes:
    """The digest of each text; of an empty one that of its row, so that it is alone."""
    return digests(text or f"\0{row}" for row, text in enumerate(texts))
