"""Any loss of a batch's items, at several dimensions at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Loss = Callable[[Any, Any, Tensor], Tensor]
"""Of queries, documents (both `Represented`, of one kind) and (B,) int64, the place of each query's
positive: a scalar.
"""


def matryoshka(loss: Loss, dims: Sequence[int]) -> Loss:
    """A loss of (query, document, positive): the mean of `loss` over the items' first `dim`
    dimensions, for each dim.

    Items are cut by `Represented.truncate`, as they are when they are embedded. Kusupati et al.
    2022 (arXiv 2205.13147), equation 1, with equal weights.
    """

    def at_every_dim(query: Any, document: Any, positive: Tensor) -> Tensor:
        total = torch.zeros((), device=positive.device)
        for dim in dims:
            total = total + loss(query.truncate(dim), document.truncate(dim), positive)
        return total / len(dims)

    return at_every_dim
