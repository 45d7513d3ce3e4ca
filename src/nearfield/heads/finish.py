"""Token states to vectors in numpy, for what runs a model without torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nearfield.batch.packed import Packed
from nearfield.store.model_folder import ModelFolder

Array = npt.NDArray[np.float32]


class Finish:
    """The pooling, projections and normalisation of a model folder: what comes after its transformer.

    The same function as `TextModel.embed` after the states, over groups of equal length.
    """

    def __init__(self, folder: ModelFolder) -> None:
        self.contract = folder.contract
        self._projections = [_projection(folder, at) for at in range(len(folder.projections))]

    def __call__(self, states: Array, batch: Packed) -> Array:
        """Vectors (n, dim) of the states (T, hidden) of the batch's tokens; zeros where no token of a sequence is pooled."""
        vectors = self._pooled(states, batch)
        for projection in self._projections:
            vectors = projection(vectors)
        if self.contract.normalise:
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)  # as torch's normalize
        return vectors

    def _pooled(self, states: Array, batch: Packed) -> Array:
        skip = 0 if self.contract.include_prompt else batch.prompt_tokens
        pooled, done = np.zeros((len(batch), states.shape[1]), np.float32), 0
        for first, count, length in batch.groups:
            if length > skip:
                group = states[first : first + count * length].reshape(count, length, -1)
                pooled[done : done + count] = _POOLINGS[self.contract.pooling](group[:, skip:], skip)
            done += count
        return pooled


def _weighted(group: Array, skip: int) -> Array:
    """Weighted by position; the first token of a sequence has position 1, whether it counts or not."""
    weight = np.arange(skip + 1, skip + group.shape[1] + 1, dtype=np.float32)
    return np.asarray(np.einsum("nlh,l->nh", group, weight / weight.sum()), np.float32)


_POOLINGS: dict[str, Callable[[Array, int], Array]] = {
    "cls": lambda group, _: group[:, 0],
    "last": lambda group, _: group[:, -1],
    "max": lambda group, _: group.max(1),
    "mean": lambda group, _: group.mean(1),
    "weighted": _weighted,
}
"""Each takes (n, length, hidden), the states of the tokens that count, and how many stand before them, and gives (n, hidden)."""


def _projection(folder: ModelFolder, at: int) -> Callable[[Array], Array]:
    """A Dense module of the folder, which few have: it is torch's, and imported for it."""
    import torch

    from nearfield.heads.projection import Projection

    module = Projection.open(folder.projections[at])

    def project(vectors: Array) -> Array:
        with torch.inference_mode():
            projected: Array = module(torch.from_numpy(vectors)).numpy()
        return projected

    return project
