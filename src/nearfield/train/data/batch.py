"""What one step of training is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from nearfield.batch.packed import Packed
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.objectives import POSITIVES
from nearfield.train.objectives.examples import Column, Examples, Marked
from nearfield.train.recipe import ObjectiveChoice
from nearfield.types.arrays import Positions


class Batch(ABC):
    """What one step trains on: `parts` go through the model one by one, and what it makes of them
    are the examples that a loss sees. `objective` is what they minimise, None for the recipe's.
    """

    parts: Sequence[Packed]
    objective: ObjectiveChoice | None = None

    @property
    def tokens(self) -> int:
        """Tokens of all mini-batches."""
        return sum(len(part.ids) for part in self.parts)

    @property
    @abstractmethod
    def negatives(self) -> int:
        """How many pairs of a query and a document that is not relevant to it the loss sees."""

    @abstractmethod
    def __len__(self) -> int:
        """How many training pairs they are made of."""

    @abstractmethod
    def examples(self, model: Any, outputs: Sequence[Any]) -> Examples:
        """The examples, from what `model` made of each part."""


@dataclass(frozen=True)
class Asked:
    """What a run asks of each of its steps: the columns that its objective `needs`, and parts of up
    to `budget` tokens (0: MINI_TOKENS), where possible at least as many as there are `processes`.
    """

    needs: frozenset[str] = POSITIVES
    processes: int = 1
    budget: int = 0


PLAIN = Asked()


class Material(Protocol):
    """What a run learns from."""

    @property
    def pairs(self) -> TrainingPairs:
        """All of its training pairs."""

    @property
    def gives(self) -> frozenset[str]:
        """The columns of `Examples` that it can give."""

    @property
    def guide_dim(self) -> int:
        """The dim of the vectors of "guide_vectors", 0 where there are none."""

    def prepare(self, batch: Positions, model: Any, asked: Asked = PLAIN) -> Batch:
        """What a step of `model` on the pairs at `batch: (B,)` needs."""


@dataclass(frozen=True)
class TextBatch(Batch):
    """A batch of B pairs with U different queries and N different documents, each text once.

    `parts`: all texts in packed mini-batches; `place`: (U + N,) int64, the row of each text in the
    parts' embeddings laid end to end, queries before documents; `query`: (B,) int64 in 0..U-1, each
    row's query. `columns`: as `Examples` has them.
    """

    parts: Sequence[Packed]
    place: Tensor
    query: Tensor
    columns: Mapping[str, Column]
    objective: ObjectiveChoice | None = None

    def __len__(self) -> int:
        return len(self.query)

    @property
    def negatives(self) -> int:
        """See Batch.negatives. Where documents are not compared with a query, rows are with each
        other.
        """
        ignored = self.columns.get("ignore")
        if not isinstance(ignored, Marked):
            return len(self)
        # a query's own positive is among what is ignored
        return len(self) * ignored.width - int(ignored.places.shape[1])

    def examples(self, model: Any, outputs: Sequence[Any]) -> Examples:
        """See Batch.examples."""
        place = self.place.to(model.device)
        query = self.query.to(model.device)
        columns: dict[str, Column] = {}
        for name, column in self.columns.items():
            # what is marked stays where it is: rows of it become a matrix when a loss wants them
            columns[name] = column.to(model.device) if isinstance(column, Tensor) else column
        queries = int(self.query.max()) + 1
        items = model.head.represented(outputs, self.parts, place)
        asked = items[:queries]
        distinct = None if model.queries else asked
        return Examples(asked[query], items[queries:], columns, distinct)
