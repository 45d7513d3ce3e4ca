"""Shared by the tests of the indexes: random vectors that have near neighbours, and kernels
switched off.
"""

from __future__ import annotations

import numpy as np
import pytest

from nearfield.indexes import exact, funnel, inverted, signs
from nearfield.indexes.exact import Exact
from nearfield.indexes.top import TopK
from nearfield.similarity.dense import Dense

BAGS = [
    "The cats are running after a mouse, a small mouse.",
    "Dogs run; cats sleep.",
    "",
    "Tax law and the running of courts",
    "mouse mouse mouse",
    "of the and",
]
"""Texts with stop words, repeated words, plurals, and none at all."""


def clustered(n: int, dim: int = 48, *, seed: int = 0, similarity: str = "cosine") -> Dense:
    """n vectors around 20 centres that are the same for every seed, with a mean that is not zero
    and dimensions of unequal length.
    """
    centres = np.random.default_rng(99).normal(size=(20, dim)) + 0.5
    generator = np.random.default_rng(seed)
    lengths = 1 / np.sqrt(1 + np.arange(dim))
    vectors = (
        centres[generator.integers(0, 20, n)] * lengths
        + 0.5 * generator.normal(size=(n, dim)) * lengths
    )
    return Dense(vectors.astype(np.float32), dim, similarity=similarity)


def exact_top_k(query: Dense, documents: Dense, k: int, *, block: int | None = None) -> TopK:
    """Positions and scores by exact search."""
    found = Exact(documents, block).search(query, k)
    return found.documents, found.scores


def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let numpy do the work of the kernels."""
    for module in (exact, funnel, inverted, signs):
        monkeypatch.setattr(module, "chosen_kernels", lambda: None)
