"""Any number of pairs as training data: their texts stay on disk, and only a few numbers per row
are in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearfield.data.collection import Collection
from nearfield.data.doctor.subject import first_of_each, sample
from nearfield.data.doctor.words import digests, normalised
from nearfield.data.pairs import Pairs
from nearfield.data.texts import Texts
from nearfield.encoders.text import TextEncoder
from nearfield.errors import CollectionError, InputError
from nearfield.train.data.leakage import held_out_documents, held_out_queries
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.training_data import TokenSource, TrainingData
from nearfield.train.objectives.compose import objective_of
from nearfield.train.recipe import Recipe
from nearfield.types.arrays import Positions
from nearfield.types.role import DOCUMENT, QUERY

# rows that the doctor looks at: some of its checks hold the texts that they compare
EXAMINED = 20_000
BLOCK = 256  # texts that are in memory at a time while all are read


@dataclass(frozen=True)
class StreamedPairs:
    """Pairs that a model is trained on while it is measured on the dev and test splits of a
    collection.

    `rows` are the pairs' positions that are learned from, and `training` the same as positions in
    the queries and in the positives and negatives laid end to end; equal texts have one position.
    `left_out` rows hold (nearly) a query, or as their positive a judged document, of dev or test.
    `same`: (documents,) one number for all documents of the same text. `own`: (queries,) int64, the
    document of the query's own text, which is no negative of it; -1 for none.
    """

    pairs: Pairs
    rows: Positions
    training: TrainingPairs
    same: Positions
    own: Positions
    left_out: int

    @classmethod
    def of(cls, pairs: Pairs, collection: Collection, *, negatives: int) -> StreamedPairs:
        """`pairs` with up to `negatives` of each row's own, without what `collection` is measured
        on.

        The leakage rule holds for rows as for any run (see leakage.py): copies and near-copies of
        held-out queries and documents are found in the pass that reads the texts. Raises
        CollectionError where fewer than two are left.
        """
        documents = Ends(pairs)
        queries, asked = held_out_queries(collection, pairs.queries)
        texts, judged = held_out_documents(collection, documents)
        first = first_of_each(texts)
        # the first documents are the positives, row by row
        rows = np.flatnonzero(~asked & ~judged[: len(pairs)])
        if len(rows) < 2:
            raise CollectionError(
                f"{pairs.called}: {len(rows)} of {len(pairs):,} pairs are left to learn from, "
                f"without those whose query or document {collection.name} has in dev or test, or "
                "nearly the same; wanted at least 2"
            )
        # a negative that a held-out query is answered by is left out, and its row is kept
        own = documents.negatives_of(most=negatives)
        own = np.where((own >= 0) & ~judged[own], first[own], -1)
        training = TrainingPairs(first_of_each(queries)[rows], first[rows], own[rows])
        as_documents = pa.array(digests(map(normalised, pairs.queries)))
        alike = pc.index_in(as_documents, value_set=pa.array(texts))
        itself: Positions = pc.fill_null(alike, -1).to_numpy().astype(np.int64)
        return cls(pairs, rows, training, first, itself, len(pairs) - len(rows))

    @property
    def note(self) -> str:
        """In a sentence, what is learned from."""
        note = f"trained on {len(self.training):,} pairs of {self.pairs.name}"
        if self.left_out:
            note += (
                f"; {self.left_out:,} more were left out because dev or test holds their query or "
                "document, or nearly the same"
            )
        return note

    def trained_queries(self) -> Sequence[str]:
        """The queries that are learned from, each once."""
        return self.pairs.queries[np.unique(self.training.query)]

    def examined(self) -> Pairs:
        """The pairs that the doctor looks at, evenly spaced."""
        chosen = sample(len(self.pairs), EXAMINED)
        if len(chosen) == len(self.pairs):
            return self.pairs
        return replace(self.pairs, table=self.pairs.table.take(pa.array(chosen)))

    def check(self, recipe: Recipe) -> None:
        """Raise InputError where the recipe's objective or teacher needs what the pairs lack: a
        score for each, or negatives; and where they have scores that nothing reads.
        """
        needs = objective_of(recipe).needs
        name = recipe.objective.name
        if "score" in needs and not self.pairs.scored:
            raise InputError(f"{self.pairs.called} has no scores, from which {name} learns")
        if self.pairs.scored and "score" not in needs:
            raise InputError(
                f"{self.pairs.called} has scores, and a pair of a low score is nothing to learn "
                "from as a positive; leave them out, or name an objective that learns from scores: "
                "objective.name = 'cosent'"
            )
        if "own" in needs and not (self.training.negatives >= 0).any():
            who = name
            key = "objective.name"
            if recipe.distil.teacher:
                who = "a teacher"
                key = "distil.teacher"
            raise InputError(
                f"{self.pairs.called} has no negatives, and {who} compares a query's documents; "
                f"give pairs with negatives, or leave out {key}"
            )

    def training_data(self, encoder: TextEncoder, *, max_tokens: int) -> TrainingData:
        """What a run reads; texts are tokenised a step at a time."""
        scores = None
        if self.pairs.scored:
            scores = self.pairs.table["score"].to_numpy().astype(np.float32)[self.rows]
        return TrainingData(
            TokenSource.of(encoder, self.pairs.queries, QUERY, max_tokens),
            TokenSource.of(encoder, Ends(self.pairs), DOCUMENT, max_tokens),
            self.training,
            self.same,
            RelevantOf(self.training, self.own),
            scores=scores,
        )


class Chained(Sequence[str]):
    """Texts of several sequences, one after the other, read when they are asked for."""

    def __init__(self, *parts: Sequence[str]) -> None:
        self._parts = parts
        self._starts = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, at: int) -> str:  # type: ignore[override]
        part = int(np.searchsorted(self._starts, at, side="right")) - 1
        return self._parts[part][at - int(self._starts[part])]

    def __iter__(self) -> Iterator[str]:
        for part in self._parts:
            # a few at a time: texts may be long
            for start in range(0, len(part), BLOCK):
                yield from part[start : start + BLOCK]


class Ends(Chained):
    """The positives of pairs, and after them all their negatives."""

    def __init__(self, pairs: Pairs) -> None:
        lists = pairs.table["negatives"]
        flat = pa.chunked_array([chunk.flatten() for chunk in lists.chunks], pa.string())
        super().__init__(pairs.positives, Texts(flat))
        self._counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)

    def negatives_of(self, *, most: int) -> Positions:
        """(pairs, k) the positions of the first `most` negatives of each pair, -1 where it has
        fewer.
        """
        width = min(most, int(self._counts.max(initial=0)))
        # behind the positives, each row's negatives follow those of the row before
        start = int(self._starts[1]) + np.cumsum(self._counts) - self._counts
        columns = np.arange(width)
        return np.where(columns < self._counts[:, None], start[:, None] + columns, -1)


class RelevantOf(Sequence[set[int]]):
    """For each query, the positives of all rows that have it and the document that is the query
    itself, found when they are asked for.
    """

    def __init__(self, pairs: TrainingPairs, own: Positions) -> None:
        self._own = own
        order = np.argsort(pairs.query, kind="stable")
        self._query = pairs.query[order]
        self._positive = pairs.positive[order]

    def __len__(self) -> int:
        return int(self._query[-1]) + 1

    def __getitem__(self, query: int) -> set[int]:  # type: ignore[override]
        start, end = np.searchsorted(self._query, [query, query + 1])
        relevant = set(self._positive[start:end].tolist())
        own = int(self._own[query])
        if own >= 0:
            relevant.add(own)
        return relevant
