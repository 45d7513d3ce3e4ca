"""Each pooling against naive loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfield.batch.packed import Packed
from nearfield.models.heads.pooling import POOLINGS
from nearfield.models.heads.segments import Segments
from nearfield.types.contract import POOLINGS as NAMES

HIDDEN = 3
LENGTHS = st.lists(st.integers(0, 9), max_size=8).map(lambda lengths: sorted(lengths, reverse=True))


def naive(name: str, states: list[list[float]], skip: int) -> list[float]:
    kept = range(skip, len(states))
    if not kept:
        return [0.0] * HIDDEN
    weights = {at: at + 1 for at in kept} if name == "weighted" else dict.fromkeys(kept, 1)
    columns = [[states[at][column] for at in kept] for column in range(HIDDEN)]
    if name in ("cls", "last"):
        return states[kept[0 if name == "cls" else -1]]
    if name == "max":
        return [max(column) for column in columns]
    total = sum(weights.values())
    return [
        sum(weights[at] * value for at, value in zip(kept, column, strict=True)) / total
        for column in columns
    ]


def packed(lengths: list[int]) -> Packed:
    offsets = np.cumsum([0, *lengths])
    return Packed(np.zeros(offsets[-1], np.int32), offsets, np.arange(len(lengths)))


@pytest.mark.parametrize("name", NAMES)
@given(lengths=LENGTHS, skip=st.integers(0, 3), seed=st.integers(0, 9))
def test_equals_naive_loops(name: str, lengths: list[int], skip: int, seed: int) -> None:
    states = torch.randn(
        sum(lengths), HIDDEN, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    pooled = POOLINGS[name](states, Segments(packed(lengths), skip=skip))
    expected = (
        [naive(name, each.tolist(), skip) for each in states.split(lengths)] if lengths else []
    )
    wanted = torch.tensor(expected, dtype=torch.float64).reshape(-1, HIDDEN)
    torch.testing.assert_close(pooled, wanted)
    without_torch = POOLINGS[name](states.numpy(), Segments(packed(lengths), skip=skip))
    np.testing.assert_allclose(without_torch, wanted.numpy(), rtol=1e-12, atol=1e-12)


def test_gradients_of_the_greatest_do_not_depend_on_what_lay_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may well be what lay there after the batch before: the same greatest values."""
    states = torch.randn(8, HIDDEN, generator=torch.Generator().manual_seed(0), requires_grad=True)
    segments = Segments(packed([5, 3]))
    before = POOLINGS["max"](states, segments).detach()
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda *_: before.clone())
    POOLINGS["max"](states, segments).sum().backward()
    assert states.grad is not None
    assert sorted(states.grad.flatten().tolist()) == [0.0] * (6 * HIDDEN) + [1.0] * (2 * HIDDEN)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("skip", [0, 2])
def test_gradients_are_right_and_finite_beside_a_sequence_with_nothing_to_pool(
    name: str, skip: int
) -> None:
    states = torch.randn(
        8,
        HIDDEN,
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(0),
        requires_grad=True,
    )
    segments = Segments(packed([5, 2, 1, 0]), skip=skip)
    assert torch.autograd.gradcheck(lambda given: POOLINGS[name](given, segments), states)


def test_a_contract_names_every_pooling() -> None:
    assert set(POOLINGS) == set(NAMES)
