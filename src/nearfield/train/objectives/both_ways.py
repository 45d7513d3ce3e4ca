"""InfoNCE from queries to documents and back, and between texts of the same side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nearfield.similarity.functions import cosine
from nearfield.train.objectives import POSITIVES
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.infonce import infonce_of_scores
from nearfield.train.objectives.objective import Objective


def symmetric(
    scores: Tensor,
    positive: Tensor,
    *,
    temperature: float | Tensor,
    ignore: Tensor | None = None,
) -> Tensor:
    """(InfoNCE of each query among the documents + InfoNCE of each positive among the queries) / 2.

    `scores`: (B, N); `positive`: (B,) int64; `ignore`: (B, N) bool, True where a document may be
    relevant to a query, so that neither is a negative of the other. Returns a scalar. Günther et
    al. 2024 (arXiv 2310.19923), equation 3.
    """
    rows = torch.arange(len(scores), device=scores.device)
    # (B, B): the queries that each row's positive may be relevant to
    back = None if ignore is None else ignore[:, positive].T
    return 0.5 * (
        infonce_of_scores(scores, positive, temperature=temperature, ignore=ignore)
        + infonce_of_scores(scores[:, positive].T, rows, temperature=temperature, ignore=back)
    )


def clip(first: Tensor, second: Tensor, *, temperature: float | Tensor) -> Tensor:
    """The symmetric InfoNCE of B pairs, such as images and their captions, by cosine.

    `first`, `second`: (B, dim), row i of both being a pair. Returns a scalar. Radford et al. 2021
    (arXiv 2103.00020), figure 3.
    """
    rows = torch.arange(len(first), device=first.device)
    return symmetric(cosine(first, second), rows, temperature=temperature)


def same_side(
    scores: Tensor,
    positive: Tensor,
    queries: Tensor,
    documents: Tensor,
    *,
    temperature: float | Tensor,
    ignore: Tensor,
    own: Tensor,
) -> Tensor:
    """-mean_i log( exp(s(q_i, d_i)) / Z_i ) of similarities divided by t, where Z_i sums exp(s)
    over s(q_i, d_j), s(q_i, q_j), s(q_j, d_i) and s(d_i, d_j).

    `scores`: (B, N), queries to documents; `positive`: (B,) int64; `queries`: (B, B) and
    `documents`: (B, N), the similarities of queries to queries and of positives to documents;
    `ignore`: (B, N) bool, True where a document may be relevant to a query. Two queries that may
    share a document are no negatives of each other, nor are two documents that may share a query,
    or are a query's own: `own` (B, k) int64. Returns a scalar. Li et al. 2023 (arXiv 2308.03281),
    equation 2.
    """
    rows = torch.arange(len(scores), device=scores.device)
    positives = nn.functional.one_hot(positive, scores.shape[1]).bool()
    itself = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    shared = ignore[:, positive]
    # in the order of the logits: query to documents, query to queries, positive to queries and
    # positive to documents
    left_out = [
        ignore & ~positives,
        shared | shared.T | itself,
        shared.T & ~itself,
        ignore.scatter(1, own, value=True) | positives,
    ]
    logits = torch.cat([scores, queries, scores[:, positive].T, documents], 1) / temperature
    logits = logits.masked_fill(torch.cat(left_out, 1), -torch.inf)
    return (torch.logsumexp(logits, 1) - logits[rows, positive]).mean()


@dataclass(frozen=True)
class Symmetric(Objective):
    """InfoNCE of each row's query among the documents, and of its positive among the queries."""

    temperature: float = 0.05

    needs = POSITIVES
    rowwise = False

    def __call__(self, examples: Examples) -> Tensor:
        return symmetric(
            examples.scores,
            examples.column("positive"),
            temperature=self.temperature,
            ignore=examples.column("ignore"),
        )


@dataclass(frozen=True)
class SameSide(Objective):
    """InfoNCE whose negatives are documents and queries, of both; a query's own hard negatives are
    not compared with its positive.
    """

    temperature: float = 0.05

    needs = POSITIVES | {"own"}
    rowwise = False

    def __call__(self, examples: Examples) -> Tensor:
        scores = examples.scores
        positive = examples.column("positive")
        given = examples.document[positive]
        own = examples.column("own")
        # places of none are those of the positive, which is left out already
        own = torch.where(own >= 0, own, positive[:, None])
        return same_side(
            scores,
            positive,
            examples.query.scores(examples.query),
            given.scores(examples.document),
            temperature=self.temperature,
            ignore=examples.column("ignore"),
            own=own,
        )
