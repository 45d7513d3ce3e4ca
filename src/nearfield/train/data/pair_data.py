"""What a cross-encoder learns from: queries with a positive and hard negatives each, read
as pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nearfield.batch.packed import Packed, packed_batches
from nearfield.batch.tokens import Tokens
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.teacher import candidates_of
from nearfield.train.data.training_data import Positions
from nearfield.train.engine.step import MINI_TOKENS
from nearfield.train.objectives.infonce import infonce_of_scores
from nearfield.train.recipe import Recipe


@dataclass(frozen=True)
class PairStep:
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
    def tokens(self) -> int:
        """Tokens of all pairs."""
        return sum(len(part.ids) for part in self.parts)

    @property
    def negatives(self) -> int:
        """See Batch.negatives."""
        return int(self.real.sum()) - len(self)

    def loss(
        self, model: Any, recipe: Recipe, sparsity: float = 1.0
    ) -> Callable[[Sequence[Tensor]], Tensor]:
        """See Batch.loss: -mean_i log( exp(s_i0) / sum_j exp(s_ij) ) over each query's own
        documents.

        Gao, Dai & Callan 2021 (arXiv 2101.08751), their localised contrastive estimation. Logits
        need no temperature.
        """
        place, real = self.place.to(model.device), self.real.to(model.device)

        def of_logits(outputs: Sequence[Tensor]) -> Tensor:
            logits = torch.cat(list(outputs))[place]
            scores = logits.new_zeros(real.shape).masked_scatter(real, logits)
            first = torch.zeros(len(real), dtype=torch.int64, device=real.device)
            return infonce_of_scores(scores, first, temperature=1.0, ignore=~real)

        return of_logits


@dataclass(frozen=True)
class PairData:
    """`pairs` are positions in queries and documents; `tokenise` gives the token ids of the pairs
    at (queries, documents).
    """

    pairs: TrainingPairs
    tokenise: Callable[[tuple[Positions, Positions]], Tokens]

    def prepare(
        self, batch: Positions, model: Any, *, processes: int = 1, budget: int = 0
    ) -> PairStep:
        """See Material.prepare."""
        candidates = candidates_of(self.pairs)[batch]
        real = candidates >= 0
        query = np.broadcast_to(self.pairs.query[batch, None], candidates.shape)
        tokens = self.tokenise((query[real], candidates[real]))
        parts = packed_batches(
            tokens, max(1, min(budget or MINI_TOKENS, -(-len(tokens.ids) // processes)))
        )
        place = np.argsort(np.concatenate([part.items for part in parts]))
        return PairStep(parts, torch.from_numpy(place), torch.from_numpy(real))
