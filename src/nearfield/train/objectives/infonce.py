"""InfoNCE over in-batch and mined negatives."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from nearfield.similarity.functions import similarity as similarity_named
from nearfield.train.objectives import POSITIVES
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
    scores: Tensor,
    positive: Tensor,
    *,
    temperature: float | Tensor,
    ignore: Tensor | None = None,
    hardness: float = 0.0,
) -> Tensor:
    """InfoNCE of `scores: (B, N)`, each query's similarity to each document, of any kind. Returns a
    scalar.

    With `hardness` above 0, `hardness` times its own score, as a constant, is added to the logit of
    each negative, so that harder negatives weigh more. Lan et al. 2025 (arXiv 2503.04812), equation
    5.
    """
    logits = scores / temperature
    own = nn.functional.one_hot(positive, scores.shape[1]).bool()
    if hardness:
        logits = logits + hardness * scores.detach().masked_fill(own, 0.0)
    if ignore is not None:
        # a row's own positive is marked, too: it may be relevant, of course
        logits = logits.masked_fill(ignore & ~own, float("-inf"))
    return nn.functional.cross_entropy(logits, positive)


def several_positives(
    scores: Tensor,
    positives: Tensor,
    *,
    temperature: float | Tensor,
    ignore: Tensor | None = None,
) -> Tensor:
    """-mean_i mean_p log( exp(s_ip / t) / sum_j exp(s_ij / t) ) over the positives p of i, and over
    all documents j that are positives or not ignored.

    `scores`: (B, N); `positives`: (B, N) bool, True once in each row at least; `ignore`: (B, N)
    bool. Returns a scalar. Khosla et al. 2020 (arXiv 2004.11362), equation 2.
    """
    logits = scores / temperature
    if ignore is not None:
        logits = logits.masked_fill(ignore & ~positives, float("-inf"))
    shares = logits.log_softmax(-1).masked_fill(~positives, 0.0)
    return -(shares.sum(-1) / positives.sum(-1)).mean()


def likely_positives(scores: Tensor, positive: Tensor, *, above: float) -> Tensor:
    """(B, N) bool: True at documents that score above `above` times the row's positive, where
    `negatives.margin` draws the line for mined ones. Moreira et al. 2024 (arXiv 2407.15831).
    """
    own = scores.gather(1, positive[:, None])
    # `above` times the score, also where that is negative: then below it, not above
    return scores > own - (1 - above) * own.abs()


@dataclass(frozen=True)
class InfoNCE(Objective):
    """InfoNCE of each row's positive against all documents of the batch that are not ignored.

    Where `filter_above` is not 0, the model's own likely positives are ignored as well; `hardness`
    is what a negative's own score adds to its weight.
    """

    temperature: float = 0.05
    filter_above: float = 0.0
    hardness: float = 0.0

    needs = POSITIVES

    def __call__(self, examples: Examples) -> Tensor:
        scores = examples.scores
        positive = examples.column("positive")
        ignore = examples.column("ignore")
        if self.filter_above:
            likely = likely_positives(scores.detach(), positive, above=self.filter_above)
            ignore = ignore | likely
        return infonce_of_scores(
            scores,
            positive,
            temperature=self.temperature,
            ignore=ignore,
            hardness=self.hardness,
        )


@dataclass(frozen=True)
class SeveralPositives(Objective):
    """Each row's query against the positives of all rows that have the same query."""

    temperature: float = 0.05

    needs = POSITIVES | {"query"}
    rowwise = False

    def __call__(self, examples: Examples) -> Tensor:
        scores = examples.scores
        query = examples.column("query")
        own = nn.functional.one_hot(examples.column("positive"), scores.shape[1])
        same = query[:, None] == query[None, :]
        # (B, N): how many rows of the same query have the document as their positive
        times = same.to(scores.dtype) @ own.to(scores.dtype)
        return several_positives(
            scores,
            times.bool(),
            temperature=self.temperature,
            ignore=examples.column("ignore"),
        )
