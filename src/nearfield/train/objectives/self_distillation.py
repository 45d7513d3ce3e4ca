"""Several heads trained at once, each also on what all of them together say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nearfield.errors import InputError
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.infonce import infonce_of_scores
from nearfield.train.objectives.objective import Objective

SHARES = {"dense": 1.0, "sparse": 0.1, "multi-vector": 1.0}
"""What each head's loss counts for in BGE-M3: the sparse one little, because its weights begin as
random numbers.
"""


def self_distillation(
    scores: Mapping[str, Tensor],
    positive: Tensor,
    *,
    temperature: float,
    fusion: Mapping[str, float],
    shares: Mapping[str, float] = SHARES,
    ignore: Tensor | None = None,
) -> Tensor:
    """(L + L') / 2 of the scores s_k: (B, N) of each head k, and of the fused ones s = sum_k
    fusion_k s_k.

    L = (sum_k shares_k InfoNCE(s_k) + InfoNCE(s)) / (heads + 1), and L' = (sum_k shares_k CE_k) /
    heads with the soft labels of the fused scores, CE_k = -mean_i sum_j p(s)_ij log p(s_k)_ij, p
    the softmax over documents of scores / temperature. No gradient goes through p(s). `positive`,
    `temperature` and `ignore` are those of `infonce`; ignored documents have no part in p. Returns
    a scalar. Chen et al. 2024 (arXiv 2402.03216, section 3.3); FlagEmbedding's m3/modeling.py.
    """
    left_out = torch.zeros_like(next(iter(scores.values())), dtype=torch.bool)
    if ignore is not None:
        left_out = ignore & ~nn.functional.one_hot(positive, ignore.shape[1]).bool()

    def log_p(of: Tensor) -> Tensor:
        return torch.log_softmax((of / temperature).masked_fill(left_out, -torch.inf), -1)

    def infonce(of: Tensor) -> Tensor:
        return infonce_of_scores(of, positive, temperature=temperature, ignore=ignore)

    weighted = [fusion.get(head, 0.0) * own for head, own in scores.items()]
    fused = torch.stack(weighted).sum(0)
    teacher = log_p(fused.detach()).exp()
    hard = infonce(fused)
    soft = fused.new_zeros(())
    for head, own in scores.items():
        # the teacher gives these nothing
        log_shares = log_p(own).masked_fill(left_out, 0.0)
        hard = hard + shares[head] * infonce(own)
        soft = soft - shares[head] * (teacher * log_shares).sum(-1).mean()
    return (hard / (len(scores) + 1) + soft / len(scores)) / 2


@dataclass(frozen=True)
class SelfDistillation(Objective):
    """Each head of a model with several learns from the positives and from the fused scores."""

    temperature: float = 0.05

    needs = frozenset({"positive", "ignore"})

    def __call__(self, examples: Examples) -> Tensor:
        query = examples.query
        if query.fusion is None:
            raise InputError("self-distillation needs a model of several heads; this one has one")
        return self_distillation(
            query.scores_by_part(examples.document),
            examples.column("positive"),
            temperature=self.temperature,
            fusion=query.fusion,
            ignore=examples.column("ignore"),
        )
