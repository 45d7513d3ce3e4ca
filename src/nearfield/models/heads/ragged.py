"""Items of some vectors each, as a loss sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nearfield.errors import ContractError
from nearfield.models.heads.arrays import beside
from nearfield.models.heads.represented import Represented, cut
from nearfield.similarity.functions import unit
from nearfield.similarity.offsets import segments
from nearfield.types.arrays import Integers

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Ragged(Represented):
    """n items: item i has the rows `offsets[i]:offsets[i + 1]` of `tokens: (K, dim)`, compared by
    MaxSim.

    `offsets`: (n + 1,) int64. With `average` a score is the mean over the query's tokens, else
    their sum. `normalise`: a token that is cut is of unit length again. `similarity` compares two
    tokens, dot or cosine.
    """

    tokens: Tensor
    offsets: Integers
    average: bool = False
    normalise: bool = True
    similarity: str = "dot"

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, rows: slice | Tensor) -> Ragged:
        # offsets stay on the processor, wherever the tokens are
        wanted = rows if isinstance(rows, slice) else rows.cpu().numpy()
        places, offsets = segments(self.offsets, wanted)
        tokens = self.tokens[beside(places, self.tokens)]
        return replace(self, tokens=tokens, offsets=offsets)

    def scores(self, documents: Ragged) -> Tensor:
        """Raises ContractError where vectors are compared by their distance."""
        if self.similarity not in ("cosine", "dot"):
            raise ContractError(
                "multi-vectors are trained by cosine or dot similarity of their "
                f"tokens, not {self.similarity}"
            )
        from nearfield.similarity.maxsim import maxsim

        query = self.tokens
        document = documents.tokens
        if self.similarity == "cosine":
            query = unit(query)
            document = unit(document)
        scored = maxsim(query, self.offsets.tolist(), document, documents.offsets.tolist())
        if not self.average:
            return scored
        lengths = np.maximum(np.diff(self.offsets), 1).astype(np.float32)
        mean: Tensor = scored / beside(lengths, scored)[:, None]
        return mean

    def truncate(self, dim: int) -> Ragged:
        """Each token's vector is cut."""
        tokens = cut(self.tokens, dim, layer_norm=False, normalise=self.normalise)
        return replace(self, tokens=tokens)
