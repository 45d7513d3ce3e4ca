"""A loss over many queries, without the whole matrix of their scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nearfield.train.objectives.matryoshka import Loss

MOST_SCORES = 1 << 24  # 64 MB in float32, of which a backward pass holds a few


def in_rows(loss_of: Callable[[slice], Loss], *, most: int = MOST_SCORES) -> Loss:
    """A loss of (query, document, positive) that is the mean over queries of what `loss_of(rows)`
    is the mean of over `rows`.

    At most `most` scores (queries x documents) are held at once, those of one query at least: each
    chunk of queries is a loss of its own, whose scores are computed again for the backward pass.
    Where all fit, `loss_of` is called once and nothing is computed twice.
    """

    def whole(query: Any, document: Any, positive: Tensor) -> Tensor:
        count, size = len(query), max(1, most // len(document))
        if size >= count:
            return loss_of(slice(0, count))(query, document, positive)
        total = torch.zeros((), device=positive.device)
        for start in range(0, count, size):
            rows = slice(start, min(start + size, count))
            part = checkpoint(
                loss_of(rows),
                query[rows],
                document,
                positive[rows],
                use_reentrant=False,
                preserve_rng_state=False,
            )
            total = total + part * ((rows.stop - rows.start) / count)
        return total

    return whole
