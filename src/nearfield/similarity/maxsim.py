"""MaxSim of ragged tokens in torch, differentiable, in bounded memory."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from nearfield.similarity.offsets import item_blocks

_SIMILARITIES = 1 << 22  # of two tokens, held at once: 16 MB in float32
_SHORT = 32_767  # tokens of a document up to which the closest one's place takes two bytes


def maxsim(
    query: Tensor, query_offsets: list[int], document: Tensor, document_offsets: list[int]
) -> Tensor:
    """sum_i max_j q_i . d_j over each query's tokens i and each document's tokens j: (a, b), as
    MultiVector.scores.

    `query`: (Q, dim), the tokens of a queries, query i's at `query_offsets[i]:query_offsets[i +
    1]`; `document`: (D, dim) likewise of b documents. A query without tokens scores 0, and a
    document without tokens -inf for any other. The similarities of all tokens are never held at
    once; for the backward pass only the place of the closest token is kept, for each token and
    document. Khattab and Zaharia 2020 (arXiv 2004.12832), equation 3.
    """
    offsets = (query_offsets, document_offsets)
    scored: Tensor = _MaxSim.apply(query, document, *offsets)  # type: ignore[no-untyped-call]
    return scored


class _MaxSim(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, document: Tensor, query_offsets: list[int], offsets: list[int]
    ) -> Tensor:
        owner = _owner(query_offsets, query.device)
        queries = len(query_offsets) - 1
        documents = len(offsets) - 1
        # of a document without tokens: -inf for a query that has some, 0 for one that has none
        scores = query.new_zeros(queries, documents)
        scores.index_fill_(0, owner, float("-inf"))
        longest = max((end - start for start, end in pairwise(offsets)), default=0)
        small = torch.int16 if longest <= _SHORT else torch.int32
        # (Q, b): which of a document's tokens is the closest to each of the queries' tokens
        place = torch.zeros(len(query), documents, dtype=small, device=query.device)
        keep = any(ctx.needs_input_grad)
        for first, last in _blocks(offsets, query):
            start = offsets[first]
            # (Q, tokens of the block)
            near = query @ document[start : offsets[last]].T
            for at in range(first, last):
                own = slice(offsets[at] - start, offsets[at + 1] - start)
                if own.start < own.stop:
                    closest = near[:, own].max(1)
                    sums = scores.new_zeros(queries).index_add_(0, owner, closest.values)
                    scores[:, at] = sums
                    if keep:
                        place[:, at] = closest.indices
        ctx.offsets = offsets
        ctx.save_for_backward(query, document, owner, place)
        return scores

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        query, document, owner, place = ctx.saved_tensors
        grad = grads[0]
        offsets = ctx.offsets
        to_query = torch.zeros_like(query)
        to_document = torch.zeros_like(document)
        for first, last in _blocks(offsets, query):
            here = [at for at in range(first, last) if offsets[at] < offsets[at + 1]]
            if not here:
                continue
            block = slice(offsets[first], offsets[last])
            begins = torch.tensor([offsets[at] - block.start for at in here], device=query.device)
            columns = torch.tensor(here, device=query.device)
            # the gradient of the block's similarities: a document's score depends on one of its
            # tokens for each of the query's
            spread = query.new_zeros(len(query), block.stop - block.start)
            spread.scatter_(1, place[:, columns].long() + begins, grad[:, columns][owner])
            to_query.addmm_(spread, document[block])
            to_document[block] = spread.T @ query
        return to_query, to_document, None, None


def _blocks(offsets: list[int], query: Tensor) -> list[tuple[int, int]]:
    """Documents in runs whose similarities to all tokens of `query` are held at once."""
    return item_blocks(offsets, max(1, _SIMILARITIES // max(1, len(query))))


def _owner(offsets: list[int], device: torch.device) -> Tensor:
    """The item of each token: (T,) int64."""
    ends = torch.tensor(offsets, device=device)
    return torch.repeat_interleave(torch.arange(len(offsets) - 1, device=device), ends.diff())
