"""What another model makes of the texts that a run learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nearfield.encoders.load import load
from nearfield.errors import InputError
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.dense import Dense
from nearfield.store.run import RunFolder
from nearfield.train.data.sampling import TrainingPairs
from nearfield.types.arrays import Positions
from nearfield.types.progress import Progress, silent
from nearfield.types.role import DOCUMENT, QUERY


@dataclass(frozen=True)
class Guide:
    """`queries` and `documents` are a model's vectors of the queries at `asked` and of the
    documents at `given`, ascending positions in what is learned from.
    """

    queries: Dense
    documents: Dense
    asked: Positions
    given: Positions

    @classmethod
    def of(
        cls,
        name: str,
        pairs: TrainingPairs,
        *,
        queries: Sequence[str],
        documents: Sequence[str],
        run: RunFolder,
        device: str = "auto",
        progress: Progress = silent,
    ) -> Guide:
        """What the encoder called `name` makes of the texts that `pairs` name.

        Raises InputError for a model that makes no dense vectors, and where the run in the folder
        has another guide.
        """
        model = load(name, device=device)
        made = EMBEDDINGS[model.contract.kind]
        if made.has_terms or not made.one_vector:
            raise InputError(
                f"objective.guide: the vectors of {name} are {model.contract.kind}; wanted a model "
                "with dense ones"
            )
        # a resumed run makes these vectors again, and must not go on with another's
        run.identify("guide.json", {"guide": name, **(model.identity or {})})
        candidates = pairs.candidates()
        asked = np.unique(pairs.query)
        given = np.unique(candidates[candidates >= 0])
        asked_texts = [queries[at] for at in asked.tolist()]
        given_texts = [documents[at] for at in given.tolist()]
        return cls(
            model.encode(asked_texts, QUERY, progress=progress),
            model.encode(given_texts, DOCUMENT, progress=progress),
            asked,
            given,
        )

    @property
    def dim(self) -> int:
        """That of its vectors."""
        return self.queries.dim

    def scores(self, queries: Positions, documents: Positions) -> Tensor:
        """(B, N) float32: the similarity of each query to each document, by their positions."""
        asked = self._queries(queries)
        given = self._documents(documents)
        return torch.from_numpy(asked.scores(given).astype(np.float32))

    def vectors(self, queries: Positions, documents: Positions) -> Tensor:
        """(B, 2, dim) float32: of each query and of the document beside it."""
        asked = np.asarray(self._queries(queries), np.float32)
        given = np.asarray(self._documents(documents), np.float32)
        return torch.from_numpy(np.stack([asked, given], 1))

    def _queries(self, places: Positions) -> Dense:
        return self.queries[np.searchsorted(self.asked, places)]

    def _documents(self, places: Positions) -> Dense:
        return self.documents[np.searchsorted(self.given, places)]
