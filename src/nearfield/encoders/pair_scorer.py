"""What says how relevant a document is to a query, reading both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nearfield.data.trained_on import UNKNOWN, TrainedOn
from nearfield.encoders.encoder import Encoder
from nearfield.types.arrays import Positions
from nearfield.types.progress import Progress, silent

Scores = npt.NDArray[np.float32]


class PairScorer(ABC):
    """A judge of pairs; `name` says whose judgement it is. `at_once` is how many pairs are worth
    asking for in one call, at least. `encoder`: whose embeddings it compares, if that is how.
    """

    name: str
    at_once: ClassVar[int] = 2048
    encoder: Encoder[Any] | None = None

    @property
    @abstractmethod
    def identity(self) -> dict[str, str]:
        """What its scores depend on beside the texts: the hash of the model's `files`, and how
        precisely it runs.
        """

    @property
    def trained_on(self) -> TrainedOn:
        """The queries that it was trained on, as far as it knows."""
        return UNKNOWN

    @abstractmethod
    def score_at(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: tuple[Positions, Positions],
        *,
        progress: Progress = silent,
    ) -> Scores:
        """(n,) float32, higher is closer: how relevant the document is in each of n pairs.

        `pairs` are the positions in `queries` and in `documents` of each pair, (n,) each. A pair's
        score does not depend on the others.
        """
