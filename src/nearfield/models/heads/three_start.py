"""Where the heads over tokens begin, before they are trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WEIGHT = 0.3  # of a token: what some terms in common score is then about what two alike vectors do


def even_weights(hidden: int) -> nn.Linear:
    """The layer that gives the state of every token the same weight: a text is the set of its
    terms.

    A layer of random weights gives most tokens none, or all, and finds half as much (see
    docs/log.md).
    """
    return _linear(torch.zeros(1, hidden), torch.full((1,), WEIGHT))


def principal_directions(states: Tensor, dim: int) -> nn.Linear:
    """The layer from `states: (n, hidden)` onto the `dim` directions in which they vary most, about
    their mean.

    The dot products of centred states are kept as well as `dim` numbers can keep them (Eckart and
    Young 1936).
    """
    mean = states.double().mean(0)
    _, _, directions = torch.linalg.svd(states.double() - mean, full_matrices=True)
    return _linear(directions[:dim], -directions[:dim] @ mean)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        linear.weight.copy_(weight)
        linear.bias.copy_(bias)
    return linear
