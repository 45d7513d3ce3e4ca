"""The texts and pairs that a run learns from, on disk until a step needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch

from nearfield.batch.tokens import Tokens
from nearfield.encoders.text import TextEncoder
from nearfield.train.data.batch import PLAIN, Asked, TextBatch
from nearfield.train.data.guide import Guide
from nearfield.train.data.mini_batches import mini_batches
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.objectives import GUIDED
from nearfield.train.objectives.examples import Column, Marked
from nearfield.types.arrays import Floats, Mask, Positions
from nearfield.types.role import Role

_ROWS = 256  # queries whose possibly relevant documents are looked up at once


@dataclass(frozen=True)
class TokenSource:
    """Texts, which may be memory-mapped, and how they are tokenised when they are wanted."""

    texts: Sequence[str]
    tokenise: Callable[[Sequence[str]], Tokens]

    @classmethod
    def of(
        cls, encoder: TextEncoder, texts: Sequence[str], role: Role, max_tokens: int
    ) -> TokenSource:
        """Tokenised as `encoder` does for the role, at most `max_tokens` each."""
        return cls(texts, partial(encoder.tokenise, role=role, max_tokens=max_tokens))

    def tokens(self, items: Positions) -> Tokens:
        """The tokens of the texts at `items`, in that order."""
        return self.tokenise([self.texts[int(item)] for item in items])


class ItemSource(Protocol):
    """What a step's queries or documents come from."""

    @property
    def texts(self) -> Sequence[str]:
        """All of them."""

    def tokens(self, items: Positions) -> Any:
        """What `TrainingData.cut` takes of the items at these positions."""


@dataclass(frozen=True)
class TrainingData:
    """`pairs` are positions in `queries` and `documents`; `same[d]` is one number for all documents
    of (nearly) the same text; `relevant[q]` holds the documents judged relevant to query q, and the
    one that is the query itself. `teacher`: (n, 1 + k), what a teacher says of each pair's positive
    and negatives, where there is one; `scores`: (n,), how alike each pair is said to be, where
    that is known. `guide`: another model, which the objective asks. `cut` makes mini-batches of
    what the two sources give.
    """

    queries: ItemSource
    documents: ItemSource
    pairs: TrainingPairs
    same: Positions
    relevant: Sequence[set[int]]
    teacher: Floats | None = None
    scores: Floats | None = None
    guide: Guide | None = None
    cut: Callable[..., Sequence[Any]] = mini_batches

    @property
    def guide_dim(self) -> int:
        """See Material.guide_dim."""
        return 0 if self.guide is None else self.guide.dim

    @property
    def gives(self) -> frozenset[str]:
        """See Material.gives."""
        given = {"positive", "ignore", "own", "label", "query"}
        if self.scores is not None:
            given.add("score")
        if self.teacher is not None:
            given.add("teacher")
        if self.guide is not None:
            given |= GUIDED
        return frozenset(given)

    def prepare(self, batch: Positions, model: Any, asked: Asked = PLAIN) -> TextBatch:
        """See Material.prepare. Rows with the same positive have the same label; documents are left
        out where no column is about them.
        """
        pairs = self.pairs
        needs = asked.needs
        own = pairs.candidates(batch)
        if not needs - {"label"}:
            own = own[:, :0]
        real = own >= 0
        # each text goes through the model once, however many rows it is in
        queries, query = np.unique(pairs.query[batch], return_inverse=True)
        documents, own[real] = np.unique(own[real], return_inverse=True)
        texts = (self.queries.tokens(queries), self.documents.tokens(documents))
        parts = self.cut(*texts, model.contract, asked)
        # where each text lies: mini-batches order them by length
        place = np.argsort(np.concatenate([part.items for part in parts]))
        rows = torch.from_numpy(query.astype(np.int64))
        columns = self._columns(needs, batch, own, documents)
        if "query" in needs:
            columns["query"] = rows
        return TextBatch(parts, torch.from_numpy(place), rows, columns)

    def _columns(
        self, needs: frozenset[str], batch: Positions, own: Positions, documents: Positions
    ) -> dict[str, Column]:
        """What the objective needs of each pair of the step; `own`: (B, 1 + k), the places of its
        positive and negatives among `documents`.
        """
        pairs = self.pairs
        columns: dict[str, Column] = {}
        if "ignore" in needs:
            columns["ignore"] = self._ignored(batch, documents)
        if "label" in needs:
            columns["label"] = torch.from_numpy(self.same[pairs.positive[batch]])
        if "positive" in needs:
            columns["positive"] = torch.from_numpy(own[:, 0].copy())
        if "own" in needs:
            columns["own"] = torch.from_numpy(own)
        for name, values in (("score", self.scores), ("teacher", self.teacher)):
            if name in needs and values is not None:
                columns[name] = torch.from_numpy(values[batch])
        if self.guide is not None and "guide" in needs:
            columns["guide"] = self.guide.scores(pairs.query[batch], documents)
        if self.guide is not None and "guide_vectors" in needs:
            columns["guide_vectors"] = self.guide.vectors(pairs.query[batch], pairs.positive[batch])
        return columns

    def _ignored(self, batch: Positions, documents: Positions) -> Marked:
        """(B, N): which of the documents are not negatives of each row."""
        # some rows at a time, as a mask of all is what `Marked` is there to avoid
        places = []
        for start in range(0, len(batch), _ROWS):
            some = batch[start : start + _ROWS]
            mask = possibly_relevant(
                self, self.pairs.query[some], self.pairs.positive[some], documents
            )
            row, column = np.nonzero(mask)
            places.append(np.stack([row + start, column]))
        return Marked(np.concatenate(places, 1), len(batch), len(documents))


def possibly_relevant(
    data: TrainingData, queries: Positions, positives: Positions, documents: Positions
) -> Mask:
    """(B, N) bool: True where a document is judged relevant to the query or is nearly the same text
    as its positive.

    `queries` and `positives`: (B,); `documents`: (N,), ascending.
    """
    same = data.same
    marked: Mask = same[positives][:, None] == same[documents][None, :]
    for row, query in enumerate(queries.tolist()):
        judged = np.array(list(data.relevant[query]), np.int64)
        # of each judged document the place where it is or would be in the step's
        at = np.minimum(np.searchsorted(documents, judged), len(documents) - 1)
        marked[row, at[documents[at] == judged]] = True
    return marked
