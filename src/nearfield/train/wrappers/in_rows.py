"""A loss over many queries, without the whole matrix of their scores."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Objective, Wrapper

MOST_SCORES = 1 << 24  # 64 MB in float32, of which a backward pass holds a few


@dataclass(frozen=True)
class InRows(Wrapper):
    """`inner`, a mean over rows, computed with at most `most` scores (queries x documents) held at
    once, those of one query at least.

    Each chunk of queries is a loss of its own, whose scores are computed again for the backward
    pass. Where all fit, nothing is computed twice.
    """

    most: int = MOST_SCORES

    def __call__(self, examples: Examples) -> Tensor:
        count = len(examples)
        size = max(1, self.most // max(1, len(examples.document)))
        if size >= count:
            return self.inner(examples)
        total: Tensor | float = 0.0
        for start in range(0, count, size):
            rows = slice(start, min(start + size, count))
            chunk = examples.rows(rows)
            # no random numbers are kept for the second time, as a loss draws none
            part = checkpoint(
                _of_copy, self.inner, chunk, use_reentrant=False, preserve_rng_state=False
            )
            total = total + part * (len(chunk) / count)
        assert isinstance(total, Tensor)
        return total


def _of_copy(inner: Objective, examples: Examples) -> Tensor:
    """The loss of a copy, which holds no scores yet: computed again, they must not be those of the
    first time.
    """
    return inner(replace(examples))
