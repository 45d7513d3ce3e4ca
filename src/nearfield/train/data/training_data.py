"""The texts and pairs that a run learns from, on disk until a step needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from nearfield.batch.packed import Packed
from nearfield.batch.tokens import Tokens
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.recipe import Recipe

Positions = npt.NDArray[np.int64]


class Batch(Protocol):
    """What one step trains on: `parts` go through the model one by one, and their outputs give the
    loss.
    """

    @property
    def parts(self) -> Sequence[Packed]:
        """The mini-batches."""

    @property
    def tokens(self) -> int:
        """Tokens of all of them."""

    @property
    def negatives(self) -> int:
        """How many pairs of a query and a document that is not relevant to it the loss sees."""

    def __len__(self) -> int:
        """How many training pairs they are made of."""

    def loss(
        self, model: Any, recipe: Recipe, sparsity: float = 1.0
    ) -> Callable[[Sequence[Any]], Tensor]:
        """What is minimised, of the model's outputs for the parts; `sparsity` is the share of a
        sparse model's cost that counts.
        """


class Material(Protocol):
    """What a run learns from."""

    @property
    def pairs(self) -> TrainingPairs:
        """All of its training pairs."""

    def prepare(
        self, batch: Positions, model: Any, *, processes: int = 1, budget: int = 0
    ) -> Batch:
        """What a step of `model` on the pairs at `batch: (B,)` needs, in parts of up to `budget`
        tokens (0: MINI_TOKENS), and where possible at least as many as there are processes.
        """


@dataclass(frozen=True)
class TokenSource:
    """Texts, which may be memory-mapped, and how they are tokenised when they are wanted."""

    texts: Sequence[str]
    tokenise: Callable[[Sequence[str]], Tokens]

    def tokens(self, items: Positions) -> Tokens:
        """The tokens of the texts at `items`, in that order."""
        return self.tokenise([self.texts[int(item)] for item in items])


@dataclass(frozen=True)
class TrainingData:
    """`pairs` are positions in `queries` and `documents`; `same[d]` is one number for all documents
    of (nearly) the same text; `relevant[q]` holds the documents judged relevant to query q, and the
    one that is the query itself. `teacher`: (n, 1 + k), what a teacher says of each pair's positive
    and negatives, where there is one.
    """

    queries: TokenSource
    documents: TokenSource
    pairs: TrainingPairs
    same: Positions
    relevant: Sequence[set[int]]
    teacher: npt.NDArray[np.float32] | None = None

    def prepare(
        self, batch: Positions, model: Any, *, processes: int = 1, budget: int = 0
    ) -> Batch:
        """See Material.prepare."""
        from nearfield.train.engine.step import prepare_step  # which needs this class

        return prepare_step(self, batch, model.contract, processes=processes, budget=budget)


def possibly_relevant(
    data: TrainingData, queries: Positions, positives: Positions, documents: Positions
) -> npt.NDArray[np.bool_]:
    """(B, N) bool: True where a document is judged relevant to the query or is nearly the same text
    as its positive.

    `queries` and `positives`: (B,); `documents`: (N,), ascending.
    """
    same = data.same
    marked: npt.NDArray[np.bool_] = same[positives][:, None] == same[documents][None, :]
    for row, query in enumerate(queries.tolist()):
        judged = np.fromiter(data.relevant[query], np.int64, len(data.relevant[query]))
        at = np.minimum(np.searchsorted(documents, judged), len(documents) - 1)
        marked[row, at[documents[at] == judged]] = True
    return marked
