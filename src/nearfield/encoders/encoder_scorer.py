"""An encoder as a judge of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nearfield.data.trained_on import TrainedOn
from nearfield.encoders.encoded import encoded
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.pair_scorer import PairScorer, Scores
from nearfield.types.arrays import Positions
from nearfield.types.progress import Progress, silent
from nearfield.types.role import DOCUMENT, QUERY


class EncoderScorer(PairScorer):
    """Scores a pair by the similarity of its texts' embeddings, whatever kind `encoder` makes."""

    at_once = 65_536  # a text is encoded once in a call

    encoder: Encoder[Any]

    def __init__(self, encoder: Encoder[Any]) -> None:
        self.encoder = encoder
        self.name = encoder.contract.name

    @property
    def identity(self) -> dict[str, str]:
        return self.encoder.identity or {"files": self.name}

    @property
    def trained_on(self) -> TrainedOn:
        return self.encoder.trained_on

    def score_at(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: tuple[Positions, Positions],
        *,
        progress: Progress = silent,
    ) -> Scores:
        """Each text is encoded once."""
        asked, query = np.unique(pairs[0], return_inverse=True)
        read, document = np.unique(pairs[1], return_inverse=True)
        ours = encoded(self.encoder, [queries[int(at)] for at in asked], QUERY)
        theirs = encoded(
            self.encoder, [documents[int(at)] for at in read], DOCUMENT, progress=progress
        )
        scores = np.empty(len(query), np.float32)
        # query by query: all queries with all documents would be many times the pairs asked for
        for row in range(len(asked)):
            mine = np.flatnonzero(query == row)
            scores[mine] = ours[row : row + 1].scores(theirs[document[mine]])[0]
        return scores
