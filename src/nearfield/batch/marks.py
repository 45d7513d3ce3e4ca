"""What a multi-vector model makes of each token beside its id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Marks:
    """Of n token sequences of T tokens, end to end: which tokens get a vector, and which no token
    looks at.

    `counted`: (T,) bool. `unseen`: (n,) int64, how many tokens at the end of each sequence look at
    the others and are looked at by none, themselves included.
    """

    counted: npt.NDArray[np.bool_]
    unseen: npt.NDArray[np.int64]

    @classmethod
    def none(cls, offsets: npt.NDArray[np.int64]) -> Marks:
        """Every token gets a vector and is looked at."""
        return cls(np.ones(int(offsets[-1]), bool), np.zeros(len(offsets) - 1, np.int64))

    @classmethod
    def join(cls, parts: Sequence[Marks]) -> Marks:
        """The marks of all parts, one after the other."""
        return cls(
            np.concatenate([part.counted for part in parts]),
            np.concatenate([part.unseen for part in parts]),
        )

    def taken(self, tokens: npt.NDArray[np.int64], items: npt.NDArray[np.int64]) -> Marks:
        """The marks of the tokens and the sequences at these positions."""
        return Marks(self.counted[tokens], self.unseen[items])

    def offsets(self, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """(n + 1,) int64: where each sequence's counted tokens begin among all that count;
        `offsets` are those of all tokens.
        """
        found: npt.NDArray[np.int64] = np.concatenate([[0], np.cumsum(self.counted)]).astype(
            np.int64
        )[offsets]
        return found
