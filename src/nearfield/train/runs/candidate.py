"""What is measured on a small search problem or on scored pairs: before training, on the way, and
after it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nearfield.data.pairs import Pairs
from nearfield.encoders.encoded import encoded
from nearfield.encoders.encoder import Encoder
from nearfield.evaluate.tasks.similarity import Similarity
from nearfield.models.vector_map import VectorMap
from nearfield.similarity.dense import Dense
from nearfield.train.data.pool import Pool
from nearfield.types.progress import Progress, silent
from nearfield.types.role import QUERY, Role
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


class Mapped(Encoder[Dense]):
    """Queries as one encoder makes them and documents as another does, of which those of one `role`
    go through a map into the space of the other's.
    """

    roles_differ = True

    def __init__(
        self, query: Encoder[Any], document: Encoder[Any], vector_map: VectorMap, role: Role
    ) -> None:
        self.query = query
        self.document = document
        self.map = vector_map
        self.role = role
        self.contract = query.contract

    def encode_as(self, role: Role, items: Sequence[str], *, progress: Progress = silent) -> Dense:
        encoder = self.query if role == QUERY else self.document
        # an adapter maps queries, a bridge documents; the others are in that space already
        made = encoded(encoder, items, role, progress=progress).as_dense("a map")
        if role != self.role:
            return made
        return Dense.under(self.contract, self.map.apply_to(made.floats()))
