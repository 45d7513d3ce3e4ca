"""MaxSim in torch against MultiVector's, plain loops and central differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nearfield.similarity import maxsim as module
from nearfield.similarity.dense import Dense
from nearfield.similarity.maxsim import maxsim
from nearfield.similarity.multi_vector import MultiVector

LENGTHS = st.lists(st.integers(0, 5), min_size=1, max_size=6)


def ragged(lengths: list[int], seed: int, dim: int = 4) -> tuple[Tensor, list[int]]:
    vectors = np.random.default_rng(seed).normal(size=(sum(lengths), dim))
    return torch.from_numpy(vectors), np.cumsum([0, *lengths]).tolist()


def naive(query: Tensor, a: list[int], document: Tensor, b: list[int]) -> Tensor:
    rows = []
    for i in range(len(a) - 1):
        for j in range(len(b) - 1):
            total = torch.zeros((), dtype=query.dtype)
            for token in query[a[i] : a[i + 1]]:
                near = [token @ other for other in document[b[j] : b[j + 1]]]
                total = total + (torch.stack(near).max() if near else -torch.inf)
            rows.append(total)
    return torch.stack(rows).view(len(a) - 1, len(b) - 1)


@given(LENGTHS, LENGTHS, st.sampled_from([1, 20, 1 << 20]))
@settings(max_examples=40)
def test_scores_and_gradients_are_those_of_plain_loops(
    queries: list[int], documents: list[int], most: int
) -> None:
    """However few similarities are held at once."""
    (query, a), (document, b) = ragged(queries, 1), ragged(documents, 2)
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SIMILARITIES", most)
        for score in (maxsim, naive):
            leaves = [part.clone().requires_grad_() for part in (query, document)]
            scores = score(leaves[0], a, leaves[1], b)
            weights = torch.arange(1, scores.numel() + 1, dtype=scores.dtype).view_as(scores)
            finite = torch.isfinite(scores)
            if scores.requires_grad:
                (scores.masked_fill(~finite, 0) * weights).sum().backward()
            found.append(
                (
                    scores.detach(),
                    *(
                        torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
                        for leaf in leaves
                    ),
                )
            )
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain)


def test_the_gradients_are_the_differences_of_the_scores() -> None:
    (query, a), (document, b) = ragged([3, 1, 2], 3), ragged([4, 2, 5], 4)
    assert torch.autograd.gradcheck(
        lambda q, d: maxsim(q, a, d, b), (query.requires_grad_(), document.requires_grad_())
    )


def test_scores_are_those_of_the_embeddings() -> None:
    (query, a), (document, b) = ragged([3, 0, 2], 5), ragged([4, 0, 5], 6)
    stored = [
        MultiVector(Dense(part.float().numpy(), 4, similarity="dot"), np.array(at))
        for part, at in ((query, a), (document, b))
    ]
    np.testing.assert_allclose(
        maxsim(query.float(), a, document.float(), b).numpy(),
        stored[0].scores(stored[1]),
        atol=1e-5,
    )


def test_no_items_have_no_scores() -> None:
    (query, a), (document, _) = ragged([2], 7), ragged([], 8)
    assert maxsim(query, a, document, [0]).shape == (1, 0)
    assert maxsim(document, [0], query, a).shape == (0, 1)
