"""A weight for each token of a text: sparse representations over the tokens that it has, without a
vocabulary's layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from nearfield.batch.packed import Packed
from nearfield.models.heads.head import Head
from nearfield.models.heads.of_tokens import term_weights
from nearfield.models.heads.represented import Rows
from nearfield.similarity.sparse import Sparse

# times the rate: of a layer that begins with no weights (see docs/log.md)
EVEN_RATE = 10.0


class TokenWeights(Head[Tensor]):
    """max(0, w h_t + b) for each token; a term weighs what its heaviest token does, and the terms
    `left_out` weigh nothing.

    (T, hidden) to (T,). `vocabulary` is the number of terms. `even`: w was all zeros when the head
    was made, so that all tokens began with the same weight. Chen et al. 2024 (arXiv 2402.03216,
    section 3.2, lexical retrieval).
    """

    kind: ClassVar[str] = "sparse"

    def __init__(self, linear: nn.Linear, *, vocabulary: int, left_out: Sequence[int] = ()) -> None:
        super().__init__()
        self.linear = linear
        self.even = not bool(linear.weight.detach().any())
        self.vocabulary, self.left_out = vocabulary, tuple(left_out)

    @property
    def rates(self) -> dict[str, float]:
        """See Head.rates."""
        if not self.even:
            return {}
        return {"linear.weight": EVEN_RATE, "linear.bias": EVEN_RATE}

    def forward(self, states: Tensor, batch: Packed) -> Tensor:
        """See Head.forward: (T,), a weight a token, of the special ones too."""
        return torch.relu(self.linear(states)).squeeze(-1)

    def represented(
        self, outputs: Sequence[Tensor], parts: Sequence[Packed], place: Tensor
    ) -> Rows:
        """See Head.represented: the weights of the terms that occur in these texts; no other one
        has any.
        """
        weights, lengths = (
            torch.cat(list(outputs)),
            np.concatenate([part.lengths for part in parts]),
        )
        ids = np.concatenate([part.ids for part in parts])
        kept = np.flatnonzero(~np.isin(ids, self.left_out))
        terms, column = np.unique(ids[kept], return_inverse=True)
        row = np.repeat(np.arange(len(lengths)), lengths)[kept]
        cell, token = (
            torch.from_numpy(at).to(weights.device) for at in (row * len(terms) + column, kept)
        )
        heaviest = weights.new_zeros(len(lengths) * len(terms)).scatter_reduce(
            0, cell, weights[token], "amax"
        )
        return Rows(heaviest.view(len(lengths), len(terms))[place], "dot")

    def embeddings(self, output: Tensor, batch: Packed) -> Sparse:
        """See Head.embeddings."""
        return term_weights(
            output.float().cpu().numpy(), batch, vocabulary=self.vocabulary, left_out=self.left_out
        )
