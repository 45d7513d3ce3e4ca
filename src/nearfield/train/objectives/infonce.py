"""InfoNCE over in-batch and mined negatives."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from nearfield.similarity.functions import similarity as similarity_named
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Objective


def infonce(
    query: Tensor,
    document: Tensor,
    positive: Tensor,
    *,
    temperature: float,
    similarity: str = "cosine",
    ignore: Tensor | None = None,
) -> Tensor:
    """-mean_i log( exp(s(q_i, d_p(i)) / t) / sum_j exp(s(q_i, d_j) / t) ), over all documents j
    that are not ignored for i.

    `query`: (B, dim); `document`: (N, dim), each query's positive, the other queries' positives
    (in-batch negatives) and hard negatives; `positive`: (B,) int64, the position of each query's
    positive; `ignore`: (B, N) bool, True at documents that may be relevant to the query and so are
    no negatives (never a query's own positive). Returns a scalar. van den Oord et al. 2018 (arXiv
    1807.03748), equation 4; in-batch negatives as Karpukhin et al. 2020.
    """
    return infonce_of_scores(
        similarity_named(similarity)(query, document),
        positive,
        temperature=temperature,
        ignore=ignore,
    )


def infonce_of_scores(
    scores: Tensor, positive: Tensor, *, temperature: float, ignore: Tensor | None = None
) -> Tensor:
    """InfoNCE of `scores: (B, N)`, each query's similarity to each document, of any kind. Returns a
    scalar.
    """
    scores = scores / temperature
    if ignore is not None:
        own = nn.functional.one_hot(positive, scores.shape[1]).bool()
        scores = scores.masked_fill(ignore & ~own, float("-inf"))
    return nn.functional.cross_entropy(scores, positive)


@dataclass(frozen=True)
class InfoNCE(Objective):
    """InfoNCE of each row's positive against all documents of the batch that are not ignored."""

    temperature: float = 0.05

    needs = frozenset({"positive", "ignore"})

    def __call__(self, examples: Examples) -> Tensor:
        scores = examples.scores
        ignore = examples.column("ignore").to(scores.device)
        return infonce_of_scores(
            scores, examples.column("positive"), temperature=self.temperature, ignore=ignore
        )
