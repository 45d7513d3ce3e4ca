"""A weight for each token of a text: sparse representations over the tokens that it has, without a
vocabulary's layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nearfield.batch.packed import Packed
from nearfield.batch.special_ids import special_ids
from nearfield.formats.pooled_folder import TOKEN_HEADS, read_token_head
from nearfield.models.heads.arrays import activated, beside, to_numpy
from nearfield.models.heads.head import Given, Head
from nearfield.models.heads.layer import Layer
from nearfield.models.heads.represented import Rows
from nearfield.similarity.offsets import joined_offsets
from nearfield.similarity.sparse import Sparse

# times the rate: of a layer that begins with no weights (see docs/log.md)
EVEN_RATE = 10.0


class TokenWeights(Head[Any]):
    """max(0, w h_t + b) for each token; a term weighs what its heaviest token does, and the terms
    `left_out` weigh nothing.

    (T, hidden) to (T,). `vocabulary` is the number of terms. `even`: w was all zeros when the head
    was made, so that all tokens began with the same weight. Chen et al. 2024 (arXiv 2402.03216,
    section 3.2, lexical retrieval).
    """

    kind: ClassVar[str] = "sparse"

    def __init__(self, layer: Layer, *, vocabulary: int, left_out: Sequence[int] = ()) -> None:
        self.layer = layer
        self.even = not np.asarray(layer.weights["linear.weight"]).any()
        self.vocabulary = vocabulary
        self.left_out = tuple(left_out)

    @classmethod
    def open(cls, given: Given) -> TokenWeights:
        folder = given.folder
        file = folder.path / TOKEN_HEADS[cls.kind]
        layer = Layer.of(*read_token_head(file, given.hidden, outputs=1))
        return cls(layer, vocabulary=given.vocabulary, left_out=special_ids(folder.transformer))

    @property
    def rates(self) -> Mapping[str, float]:
        if self.even:
            return dict.fromkeys(self.layer.weights, EVEN_RATE)
        return {}

    @property
    def layers(self) -> Mapping[str, Layer]:
        return {"": self.layer}

    def forward(self, states: Any, batch: Packed) -> Any:
        """(T,), a weight per token, of the special ones too."""
        return activated(self.layer(states), "relu")[:, 0]

    def embeddings(self, output: Any, batch: Packed) -> Sparse:
        weights = to_numpy(output)
        kept = np.flatnonzero((weights > 0) & ~np.isin(batch.ids, self.left_out))
        # a number for each pair of sequence and term, so that equal ones are a term's tokens
        place = batch.owners[kept] * self.vocabulary + batch.ids[kept]
        order = np.argsort(place, kind="stable")
        terms, first = np.unique(place[order], return_index=True)
        heaviest = np.empty(0, np.float32)
        if len(first):
            heaviest = np.maximum.reduceat(weights[kept][order], first)
        counts = np.bincount(terms // self.vocabulary, minlength=len(batch))
        numbers = (terms % self.vocabulary).astype(np.int32)
        return Sparse(heaviest, numbers, joined_offsets([counts]), self.vocabulary)

    def items(self, output: Any, parts: Sequence[Packed]) -> Rows:
        """The weights of the terms that occur in these texts; no other one has any."""
        lengths = np.concatenate([part.lengths for part in parts])
        ids = np.concatenate([part.ids for part in parts])
        kept = np.flatnonzero(~np.isin(ids, self.left_out))
        terms, column = np.unique(ids[kept], return_inverse=True)
        row = np.repeat(np.arange(len(lengths)), lengths)[kept]
        # a cell for each pair of text and term, of which a term's tokens in a text share one
        cell = beside(row * len(terms) + column, output)
        empty = output.new_zeros(len(lengths) * len(terms))
        heaviest = empty.scatter_reduce(0, cell, output[beside(kept, output)], "amax")
        return Rows(heaviest.view(len(lengths), len(terms)), "dot")
