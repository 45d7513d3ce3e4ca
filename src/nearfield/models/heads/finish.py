"""Token states to vectors in numpy, for what runs a model without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from nearfield.batch.packed import Packed
from nearfield.models.heads.layers import Array, normalised, projections
from nearfield.types.contract import Contract


class Finish:
    """The pooling and normalisation that a contract asks for, and the Dense modules in `folders`:
    what comes after a transformer.

    The same function as `TextModel.embed` after the states, over groups of equal length. Raises
    ModelError as `DenseModule.read` does.
    """

    def __init__(self, contract: Contract, folders: Sequence[Path] = ()) -> None:
        self.contract = contract
        self._project = projections(folders)

    def __call__(self, states: Array, batch: Packed) -> Array:
        """Vectors (n, dim) of the states (T, hidden) of the batch's tokens; zeros where no token of
        a sequence is pooled.
        """
        return self.of_pooled(self._pooled(states, batch))

    def of_pooled(self, vectors: Array) -> Array:
        """Vectors (n, dim) of what was pooled: (n, hidden)."""
        vectors = self._project(vectors)
        return normalised(vectors) if self.contract.normalise else vectors

    def _pooled(self, states: Array, batch: Packed) -> Array:
        skip = 0 if self.contract.include_prompt else batch.prompt_tokens
        pooled, done = np.zeros((len(batch), states.shape[1]), np.float32), 0
        for first, count, length in batch.groups:
            if length > skip:
                group = states[first : first + count * length].reshape(count, length, -1)
                pooled[done : done + count] = _POOLINGS[self.contract.pooling](
                    group[:, skip:], skip
                )
            done += count
        return pooled


def _weighted(group: Array, skip: int) -> Array:
    """Weighted by position; the first token of a sequence has position 1, whether it counts
    or not.
    """
    weight = np.arange(skip + 1, skip + group.shape[1] + 1, dtype=np.float32)
    return np.asarray(np.einsum("nlh,l->nh", group, weight / weight.sum()), np.float32)


_POOLINGS: dict[str, Callable[[Array, int], Array]] = {
    "cls": lambda group, _: group[:, 0],
    "last": lambda group, _: group[:, -1],
    "max": lambda group, _: group.max(1),
    "mean": lambda group, _: group.mean(1),
    "weighted": _weighted,
}
"""Each takes (n, length, hidden), the states of the tokens that count, and how many stand before
them, and gives (n, hidden).
"""
