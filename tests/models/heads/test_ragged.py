from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nearfield.similarity.maxsim as module
from nearfield.models.heads.ragged import Ragged
from nearfield.similarity.dense import Dense
from nearfield.similarity.multi_vector import MultiVector


def ragged(lengths: list[int], *, seed: int, average: bool = False) -> Ragged:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(sum(lengths), 3, generator=generator, dtype=torch.float64)
    return Ragged(tokens, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), average)


LENGTHS = st.lists(st.integers(0, 5), min_size=1, max_size=6)


@given(
    queries=LENGTHS, documents=LENGTHS, average=st.booleans(), most=st.sampled_from([1, 7, 1 << 24])
)
@settings(max_examples=60)
def test_scores_are_those_of_two_loops_and_of_the_embeddings(
    queries: list[int], documents: list[int], average: bool, most: int
) -> None:
    asked, given_ = ragged(queries, seed=0, average=average), ragged(documents, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SIMILARITIES", most)
        found = asked.scores(given_).numpy()
    for row, length in enumerate(queries):
        for column in range(len(documents)):
            own, others = (
                each[at : at + 1].tokens.tolist() for each, at in ((asked, row), (given_, column))
            )
            near = [
                max((sum(map(float.__mul__, token, other)) for other in others), default=-np.inf)
                for token in own
            ]
            assert found[row, column] == pytest.approx(
                sum(near) / (max(1, length) if average else 1)
            )
    stored = [
        MultiVector(
            Dense(each.tokens.numpy().astype(np.float32), 3, similarity="dot"),
            each.offsets,
            average,
        )
        for each in (asked, given_)
    ]
    np.testing.assert_allclose(found, stored[0].scores(stored[1]), atol=1e-5)


def test_the_gradients_are_right_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, given_ = ragged([2, 3], seed=0, average=True), ragged([4, 1, 2], seed=1)
    inputs = asked.tokens.requires_grad_(), given_.tokens.requires_grad_()

    def scores(query: torch.Tensor, document: torch.Tensor) -> torch.Tensor:
        chosen = Ragged(query, asked.offsets, average=True)[torch.tensor([1, 0, 1])]
        return chosen.scores(Ragged(document, given_.offsets))

    assert torch.autograd.gradcheck(scores, inputs)
    monkeypatch.setattr(module, "_SIMILARITIES", 8)
    assert torch.autograd.gradcheck(scores, inputs)


def test_a_cut_token_is_of_unit_length_again() -> None:
    cut = ragged([2, 1], seed=0).truncate(2)
    np.testing.assert_allclose(np.linalg.norm(cut.tokens, axis=1), 1.0)
    assert (
        ragged([2, 1], seed=0).truncate(3).tokens.tolist() == ragged([2, 1], seed=0).tokens.tolist()
    )
