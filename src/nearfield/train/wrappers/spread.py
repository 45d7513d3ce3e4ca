"""Texts that have nothing to do with each other are to lie apart."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nearfield.similarity.functions import cosine
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Wrapper


def spread(vectors: Tensor) -> Tensor:
    """m_1^2 + max(0, m_2 - 1 / dim), where m_1 is the mean and m_2 the mean square of the cosines
    of different vectors: 0 for vectors spread evenly over the sphere.

    `vectors`: (n, dim), n at least 1. Returns a scalar. Zhang et al. 2017 (arXiv 1708.06320),
    equation 6.
    """
    count, dim = vectors.shape
    itself = torch.eye(count, dtype=torch.bool, device=vectors.device)
    cosines = cosine(vectors, vectors).masked_fill(itself, 0.0)
    pairs = max(count * (count - 1), 1)
    mean = cosines.sum() / pairs
    square = cosines.square().sum() / pairs
    uneven: Tensor = mean.square() + (square - 1 / dim).clamp(min=0)
    return uneven


@dataclass(frozen=True)
class Spread(Wrapper):
    """`inner` + `weight` times the mean of what the queries and the documents, each text once, lack
    of being spread.
    """

    weight: float

    def __call__(self, examples: Examples) -> Tensor:
        each = []
        for side in (examples.distinct, examples.document):
            # queries that are looked up have no vectors of their own; a step of labels, no document
            if side is not None and len(side):
                each.append(spread(side.vectors))
        return self.inner(examples) + self.weight * torch.stack(each).mean()
