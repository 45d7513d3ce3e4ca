"""SigLIP: each pair of a query and a document is told apart by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nearfield.similarity.functions import cosine
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Objective

BIAS = -10.0  # so that the many negatives of the first steps cost little; as in the paper


def sigmoid_of_scores(
    scores: Tensor,
    positive: Tensor,
    *,
    temperature: float | Tensor,
    bias: float | Tensor,
    ignore: Tensor | None = None,
) -> Tensor:
    """-mean_i sum_j log sigmoid(z_ij (s_ij / t + b)), z being 1 for the positive of i and -1 for
    all other documents j that are not ignored for i.

    `scores`: (B, N); `positive`: (B,) int64; `ignore`: (B, N) bool. Returns a scalar. Zhai et al.
    2023 (arXiv 2303.15343), equation 1.
    """
    own = nn.functional.one_hot(positive, scores.shape[1]).bool()
    logits = scores / temperature + bias
    each = nn.functional.logsigmoid(torch.where(own, logits, -logits))
    if ignore is not None:
        each = each.masked_fill(ignore & ~own, 0.0)
    return -each.sum(1).mean()


def sigmoid(
    first: Tensor,
    second: Tensor,
    *,
    temperature: float | Tensor,
    bias: float | Tensor,
    chunk: int = 1024,
) -> Tensor:
    """`sigmoid_of_scores` of the cosines of B pairs, such as images and their captions.

    `first`, `second`: (B, dim), row i of both being a pair. The similarities of `chunk` rows are
    held at a time, and computed again for the backward pass. Returns a scalar.
    """

    def part(rows: Tensor) -> Tensor:
        scores = cosine(first[rows], second)
        return sigmoid_of_scores(scores, rows, temperature=temperature, bias=bias)

    total = first.new_zeros(())
    for rows in torch.split(torch.arange(len(first), device=first.device), chunk):
        total = total + len(rows) * checkpoint(part, rows, use_reentrant=False)
    return total / len(first)


@dataclass(frozen=True)
class Sigmoid(Objective):
    """Each row's query with each document of the batch; the bias is learned, from `bias` on."""

    temperature: float = 0.1
    bias: float = BIAS

    needs = frozenset({"positive", "ignore"})

    def learns(self, dim: int, guide: int) -> Mapping[str, Tensor]:
        """See Objective.learns: the bias."""
        return {"bias": torch.tensor(self.bias)}

    def __call__(self, examples: Examples) -> Tensor:
        return sigmoid_of_scores(
            examples.scores,
            examples.column("positive"),
            temperature=self.temperature,
            bias=examples.learned["bias"],
            ignore=examples.column("ignore"),
        )
