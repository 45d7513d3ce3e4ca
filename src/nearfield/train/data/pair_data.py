"""What a cross-encoder learns from: queries with a positive and hard negatives each, read
as pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nearfield.batch.packed import Packed, packed_batches
from nearfield.batch.tokens import Tokens
from nearfield.models.heads.represented import Rows
from nearfield.train.data.batch import PLAIN, Asked, Batch
from nearfield.train.data.mini_batches import MINI_TOKENS
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.objectives.examples import Examples
from nearfield.types.arrays import Positions


@dataclass(frozen=True)
class PairBatch(Batch):
    """A batch of B queries with up to C documents each, the positive first.

    `parts`: all pairs in packed mini-batches; `place`: (P,) int64, the row of each pair in the
    parts' logits laid end to end; `real`: (B, C) bool, True where there is such a document, P of
    them.
    """

    parts: Sequence[Packed]
    place: Tensor
    real: Tensor

    def __len__(self) -> int:
        return len(self.real)

    @property
    def negatives(self) -> int:
        """See Batch.negatives."""
        return int(self.real.sum()) - len(self)

    def examples(self, model: Any, outputs: Sequence[Tensor]) -> Examples:
        """See Batch.examples: the documents are the C places, as unit vectors, and a query is the
        vector of its logits, so that its scores are these.
        """
        place = self.place.to(model.device)
        real = self.real.to(model.device)
        logits = torch.cat(list(outputs))[place]
        scores = logits.new_zeros(real.shape).masked_scatter(real, logits)
        places = torch.eye(real.shape[1], device=real.device)
        own = torch.where(real, torch.arange(len(places), device=real.device), -1)
        return Examples(Rows(scores, "dot"), Rows(places, "dot"), {"own": own})


@dataclass(frozen=True)
class PairData:
    """`pairs` are positions in queries and documents; `tokenise` gives the token ids of the pairs
    at (queries, documents).
    """

    pairs: TrainingPairs
    tokenise: Callable[[tuple[Positions, Positions]], Tokens]

    gives = frozenset({"own"})
    guide_dim = 0

    def prepare(self, batch: Positions, model: Any, asked: Asked = PLAIN) -> PairBatch:
        """See Material.prepare."""
        candidates = self.pairs.candidates(batch)
        real = candidates >= 0
        query = np.broadcast_to(self.pairs.query[batch, None], candidates.shape)
        tokens = self.tokenise((query[real], candidates[real]))
        each = math.ceil(len(tokens.ids) / asked.processes)
        parts = packed_batches(tokens, max(1, min(asked.budget or MINI_TOKENS, each)))
        # where each pair lies: packing orders them by length
        place = np.argsort(np.concatenate([part.items for part in parts]))
        return PairBatch(parts, torch.from_numpy(place), torch.from_numpy(real))
