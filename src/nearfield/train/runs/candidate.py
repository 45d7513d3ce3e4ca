"""What is measured on a small search problem or on scored pairs: before training, on the way, and
after it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from nearfield.data.pairs import Pairs
from nearfield.encoders.encoder import Encoder
from nearfield.evaluate.tasks.similarity import Similarity
from nearfield.train.data.pool import Pool
from nearfield.types.progress import Progress, silent
from nearfield.types.scores import Scores


class Candidate(ABC):
    """Something that ranks documents and scores pairs, as it stands."""

    @abstractmethod
    def on_pool(self, pool: Pool, *, progress: Progress = silent) -> Scores:
        """The pool's measure of each of its queries."""

    @abstractmethod
    def on_pairs(self, pairs: Pairs, *, progress: Progress = silent) -> float:
        """Spearman's rank correlation with the scores of the pairs."""


@dataclass(frozen=True)
class ByVectors(Candidate):
    """Ranks by the similarity of what an encoder makes."""

    encoder: Encoder[Any]

    def on_pool(self, pool: Pool, *, progress: Progress = silent) -> Scores:
        return pool.scores(self.encoder, progress=progress)

    def on_pairs(self, pairs: Pairs, *, progress: Progress = silent) -> float:
        return Similarity(pairs).mean(self.encoder, progress=progress)
