"""The texts and pairs that a run learns from, on disk until a step needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearfield.batch.tokens import Tokens
from nearfield.train.sampling import TrainingPairs

Positions = npt.NDArray[np.int64]


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
    """`pairs` are positions in `queries` and `documents`; `same[d]` is one number for all documents of (nearly) the same text;
    `relevant[q]` holds the documents judged relevant to query q. `teacher`: (n, 1 + k), what a teacher says of each pair's positive
    and negatives, where there is one."""

    queries: TokenSource
    documents: TokenSource
    pairs: TrainingPairs
    same: Positions
    relevant: Sequence[set[int]]
    teacher: npt.NDArray[np.float32] | None = None


def possibly_relevant(data: TrainingData, queries: Positions, positives: Positions, documents: Positions) -> npt.NDArray[np.bool_]:
    """(B, N) bool: True where a document is judged relevant to the query or is nearly the same text as its positive.

    `queries` and `positives`: (B,); `documents`: (N,), ascending.
    """
    same = data.same
    marked: npt.NDArray[np.bool_] = same[positives][:, None] == same[documents][None, :]
    for row, query in enumerate(queries.tolist()):
        judged = np.fromiter(data.relevant[query], np.int64, len(data.relevant[query]))
        at = np.minimum(np.searchsorted(documents, judged), len(documents) - 1)
        marked[row, at[documents[at] == judged]] = True
    return marked
