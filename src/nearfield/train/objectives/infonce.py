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


def likely_positives(scores: Tensor, positive: Tensor, *, above: float) -> Tensor:
    """(B, N) bool: True at documents that score above `above` times the row's positive, where
    `negatives.margin` draws the line for mined ones. Moreira et al. 2024 (arXiv 2407.15831).
    """
    own = scores.gather(1, positive[:, None])
    return scores > own - (1 - above) * own.abs()


@dataclass(frozen=True)
class InfoNCE(Objective):
    """InfoNCE of each row's positive against all documents of the batch that are not ignored.

    Where `filter_above` is not 0, the model's own likely positives are ignored as well.
    """

    temperature: float = 0.05
    filter_above: float = 0.0

    needs = frozenset({"positive", "ignore"})

    def __call__(self, examples: Examples) -> Tensor:
        scores, positive = examples.scores, examples.column("positive")
        ignore = examples.column("ignore").to(scores.device)
        if self.filter_above:
            ignore |= likely_positives(scores.detach(), positive, above=self.filter_above)
        return infonce_of_scores(scores, positive, temperature=self.temperature, ignore=ignore)
