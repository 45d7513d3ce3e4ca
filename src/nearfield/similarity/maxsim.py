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
        filled = owner.new_zeros(len(query_offsets) - 1, dtype=torch.bool).index_fill(
            0, owner, True
        )
        scores = (
            torch.where(filled, float("-inf"), 0.0)
            .to(query.dtype)[:, None]
            .repeat(1, len(offsets) - 1)
        )
        longest = max((end - start for start, end in pairwise(offsets)), default=0)
        keep = any(ctx.needs_input_grad)
        place = torch.zeros(
            len(query),
            len(offsets) - 1,
            dtype=torch.int16 if longest <= _SHORT else torch.int32,
            device=query.device,
        )
        for first, last in item_blocks(offsets, max(1, _SIMILARITIES // max(1, len(query)))):
            near = query @ document[offsets[first] : offsets[last]].T
            for at in range(first, last):
                if offsets[at] < offsets[at + 1]:
                    closest = near[
                        :, offsets[at] - offsets[first] : offsets[at + 1] - offsets[first]
                    ].max(1)
                    scores[:, at] = scores.new_zeros(len(scores)).index_add_(
                        0, owner, closest.values
                    )
                    if keep:
                        place[:, at] = closest.indices
        ctx.offsets = offsets
        ctx.save_for_backward(query, document, owner, place)
        return scores

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        query, document, owner, place = ctx.saved_tensors
        (grad,), offsets = grads, ctx.offsets
        to_query = torch.zeros_like(query)
        to_document = torch.zeros_like(document)
        for first, last in item_blocks(offsets, max(1, _SIMILARITIES // max(1, len(query)))):
            here = [at for at in range(first, last) if offsets[at] < offsets[at + 1]]
            if not here:
                continue
            start = torch.tensor([offsets[at] - offsets[first] for at in here], device=query.device)
            columns = torch.tensor(here, device=query.device)
            spread = query.new_zeros(len(query), offsets[last] - offsets[first])
            spread.scatter_(1, place[:, columns].long() + start, grad[:, columns][owner])
            block = slice(offsets[first], offsets[last])
            to_query.addmm_(spread, document[block])
            to_document[block] = spread.T @ query
        return to_query, to_document, None, None


def _owner(offsets: list[int], device: torch.device) -> Tensor:
    """The item of each token: (T,) int64."""
    ends = torch.tensor(offsets, device=device)
    return torch.repeat_interleave(torch.arange(len(offsets) - 1, device=device), ends.diff())
