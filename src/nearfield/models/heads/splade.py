"""Learned sparse representations: a weight for each term of the vocabulary, from a
masked-language-model head.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nearfield.batch.packed import Packed
from nearfield.errors import ModelError, nearest
from nearfield.models.backbones.language_heads import language_head
from nearfield.models.heads.head import Given, Head
from nearfield.models.heads.represented import Rows
from nearfield.models.heads.term_embeddings import term_embeddings
from nearfield.similarity.offsets import item_blocks
from nearfield.similarity.sparse import Sparse

POOLINGS = ("max", "sum")
ACTIVATIONS = ("relu", "log1p_relu")
_TOKENS = 256  # logits of so many tokens at once: over 30,522 terms they take 31 MB


class Splade(Head[Tensor]):
    """For each term, log(1 + max(0, logit)) over a text's tokens: the greatest (SPLADE v2) or the
    sum (SPLADE).

    (T, hidden) to (n, vocabulary). `transform` and `decoder` are the halves of the language-model
    head. log1p_relu takes the logarithm twice. Embeddings keep the `max_terms` greatest weights,
    where that is stated. The logits of all tokens are never held at once, nor, where the greatest
    is taken, kept for the backward pass. Formal et al. 2021 (arXiv 2107.05720, equation 1; arXiv
    2109.10086, equation 6); log1p_relu: arXiv 2504.14839.
    """

    kind: ClassVar[str] = "sparse"
    task: ClassVar[str] = "fill-mask"
    layout: ClassVar[str] = "splade"

    def __init__(
        self,
        transform: nn.Module,
        decoder: nn.Linear,
        *,
        pooling: str = "max",
        activation: str = "relu",
        similarity: str = "dot",
        max_terms: int | None = None,
    ) -> None:
        for what, got, known in (
            ("pooling", pooling, POOLINGS),
            ("activation", activation, ACTIVATIONS),
        ):
            if got not in known:
                raise ModelError(
                    f"a SPLADE head has no {what} {got!r}; wanted "
                    f"{' or '.join(known)}.{nearest(got, known)}"
                )
        self.transform = transform
        self.decoder = decoder
        self.pooling = pooling
        self.activation = activation
        self.similarity = similarity
        self.max_terms = max_terms

    @classmethod
    def open(cls, given: Given) -> Splade:
        """The language-model head of `whole`. Raises ModelError for an architecture whose head is
        not known.
        """
        transform, decoder = language_head(given.whole)
        kept = given.folder.contract
        return cls(
            transform,
            decoder,
            pooling=kept.pooling,
            activation=given.folder.activation,
            similarity=kept.similarity,
            max_terms=kept.max_terms,
        )

    def parameters(self) -> dict[str, nn.Parameter]:
        named = nn.ModuleDict({"transform": self.transform, "decoder": self.decoder})
        return dict(named.named_parameters())

    def train(self, device: Any) -> Splade:
        self.transform.to(device)
        self.decoder.to(device)
        return self

    def forward(self, states: Tensor, batch: Packed) -> Tensor:
        """(n, vocabulary), no weight below 0; a text without tokens has no weights."""
        hidden = self.transform(states)
        weight = self.decoder.weight
        bias = self.decoder.bias
        if bias is None:
            bias = weight.new_zeros(len(weight))
        offsets = batch.offsets.tolist()
        if self.pooling == "max":  # the logarithm rises, so it may come after the greatest
            given = (hidden, weight, bias, offsets)
            greatest: Tensor = _GreatestLogits.apply(*given)  # type: ignore[no-untyped-call]
            return self._activated(greatest)
        parts = [hidden.new_zeros(0, len(weight))]
        for first, last in item_blocks(offsets, _TOKENS):
            block = hidden[offsets[first] : offsets[last]]
            lengths = batch.lengths[first:last].tolist()
            # computed again on the way back, so that the logits of one block alone are ever held
            summed = checkpoint(self._summed, block, weight, bias, lengths, use_reentrant=False)
            parts.append(summed)
        return torch.cat(parts)

    def _summed(self, hidden: Tensor, weight: Tensor, bias: Tensor, lengths: list[int]) -> Tensor:
        activated = self._activated(torch.addmm(bias, hidden, weight.T))
        return torch.stack([part.sum(0) for part in torch.split(activated, lengths)])

    def _activated(self, logits: Tensor) -> Tensor:
        once = torch.log1p(torch.relu(logits))
        if self.activation == "log1p_relu":
            return torch.log1p(once)
        return once

    def embeddings(self, output: Tensor, batch: Packed) -> Sparse:
        weights = output.cpu().numpy()
        return term_embeddings(weights, similarity=self.similarity, max_terms=self.max_terms)

    def items(self, output: Tensor, parts: Sequence[Packed]) -> Rows:
        """The weights of all terms."""
        return Rows(output, self.similarity)


class _GreatestLogits(torch.autograd.Function):
    """The greatest logit of each term over each sequence's tokens: (T, hidden), (V, hidden), (V,)
    to (n, V), 0 for a sequence of none.

    Only the token that gave it is kept for the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, offsets: list[int]
    ) -> Tensor:
        n = len(offsets) - 1
        greatest = hidden.new_zeros(n, len(weight))
        token = None
        if any(ctx.needs_input_grad):
            token = torch.zeros(n, len(weight), dtype=torch.int32, device=hidden.device)
        for first, last in item_blocks(offsets, _TOKENS):
            start = offsets[first]
            logits = torch.addmm(bias, hidden[start : offsets[last]], weight.T)
            for at in range(first, last):
                begin = offsets[at] - start
                end = offsets[at + 1] - start
                if begin < end:
                    best = logits[begin:end].max(0)
                    greatest[at] = best.values
                    if token is not None:  # by its place in the block
                        token[at] = best.indices + begin
        # the logits themselves would take tokens x terms; they are never kept
        ctx.offsets = offsets
        ctx.save_for_backward(hidden, weight, token)
        return greatest

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, Tensor, None]:
        hidden, weight, token = ctx.saved_tensors
        (grad,) = grads
        offsets = ctx.offsets
        # the 0 of a sequence without tokens depends on nothing
        empty = [at for at, (start, end) in enumerate(pairwise(offsets)) if start == end]
        if empty:
            grad = grad.index_fill(0, torch.tensor(empty, device=grad.device), 0.0)
        to_hidden = torch.zeros_like(hidden)
        # it may be the word embeddings, which are frozen
        to_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        for first, last in item_blocks(offsets, _TOKENS):
            block = slice(offsets[first], offsets[last])
            if block.start == block.stop:
                continue
            # the slope of each logit of the block: that of the term at the token that gave it
            spread = hidden.new_zeros(block.stop - block.start, len(weight))
            spread.scatter_add_(0, token[first:last].long(), grad[first:last])
            to_hidden[block] = spread @ weight
            if to_weight is not None:
                to_weight.addmm_(spread.T, hidden[block])
        return to_hidden, to_weight, grad.sum(0), None
