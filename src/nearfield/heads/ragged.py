"""Items of some vectors each, as a loss sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearfield.heads.represented import Represented, cut
from nearfield.similarity.sparse import segments

MOST_SIMILARITIES = 1 << 24  # of two tokens held at once: 64 MB in float32


@dataclass(frozen=True)
class Ragged(Represented):
    """n items: item i has the rows `offsets[i]:offsets[i + 1]` of `tokens: (K, dim)`, compared by dot product.

    `offsets`: (n + 1,) int64. With `average` a score is the mean over the query's tokens, else their sum. `normalise`: a token that
    is cut is of unit length again.
    """

    tokens: Tensor
    offsets: npt.NDArray[np.int64]
    average: bool = False
    normalise: bool = True

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, rows: slice | Tensor) -> Ragged:
        chosen = np.arange(len(self))[rows if isinstance(rows, slice) else rows.cpu().numpy()]
        places, offsets = segments(self.offsets, chosen)
        return replace(self, tokens=self.tokens[torch.from_numpy(places).to(self.tokens.device)], offsets=offsets)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(n,) int64, vectors an item."""
        return np.diff(self.offsets)

    def scores(self, documents: Ragged) -> Tensor:
        """See Represented.scores: MaxSim, as that of `MultiVector`; a query without tokens scores 0, a document without them -inf for
        any other.

        Khattab and Zaharia 2020 (arXiv 2004.12832), equation 3. Tokens are compared for some documents at a time, and of what they
        score only the place of the greatest is kept for the backward pass.
        """
        greatest = [self.tokens.new_zeros(0, len(self.tokens))]
        most, start = max(1, MOST_SIMILARITIES // max(1, len(self.tokens))), 0
        while start < len(documents):
            end = max(start + 1, int(np.searchsorted(documents.offsets, documents.offsets[start] + most, side="right")) - 1)
            greatest.append(self._greatest(documents, start, end))
            start = end
        owner = torch.from_numpy(np.repeat(np.arange(len(self)), self.lengths)).to(self.tokens.device)
        scored = self.tokens.new_zeros(len(self), len(documents)).index_add(0, owner, torch.cat(greatest).T)
        if not self.average:
            return scored
        return scored / torch.from_numpy(np.maximum(self.lengths, 1)).to(self.tokens)[:, None]

    def _greatest(self, documents: Ragged, start: int, end: int) -> Tensor:
        """How close the closest token of each of these documents is to each of the queries' tokens: (documents, K)."""
        near = documents.tokens[documents.offsets[start] : documents.offsets[end]] @ self.tokens.T
        parts = torch.split(near, documents.lengths[start:end].tolist())
        return torch.stack([part.max(0).values if len(part) else near.new_full(near.shape[1:], float("-inf")) for part in parts])

    def truncate(self, dim: int) -> Ragged:
        """See Represented.truncate: each token's vector is cut."""
        return replace(self, tokens=cut(self.tokens, dim, layer_norm=False, normalise=self.normalise))
