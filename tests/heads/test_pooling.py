"""Each pooling against naive loops."""

from __future__ import annotations

import pytest
import torch

from nearfield.heads.pooling import POOLINGS
from nearfield.types.contract import POOLINGS as NAMES

B, T, HIDDEN = 4, 7, 3


def naive(name: str, states: list[list[float]], counts: list[bool], real: list[bool]) -> list[float]:
    kept = [at for at in range(T) if counts[at]]
    first = real.index(True)
    weights = {at: at - first + 1 for at in kept} if name == "weighted" else dict.fromkeys(kept, 1)
    columns = [[states[at][column] for at in kept] for column in range(HIDDEN)]
    if name in ("cls", "last"):
        return states[kept[0 if name == "cls" else -1]]
    if name == "max":
        return [max(column) for column in columns]
    total = sum(weights.values())
    return [sum(weights[at] * value for at, value in zip(kept, column, strict=True)) / total for column in columns]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("prompt", [0, 1, 2])
def test_equals_naive_loops(name: str, left: bool, prompt: int) -> None:
    states = torch.randn(B, T, HIDDEN, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    real = torch.arange(T)[None, :] < torch.tensor([3, 5, 6, 7])[:, None]
    counts = real & (torch.arange(T) >= prompt)
    if left:
        offset = T - real.sum(1)
        real = torch.stack([row.roll(int(by)) for row, by in zip(real, offset, strict=True)])
        counts = torch.stack([row.roll(int(by)) for row, by in zip(counts, offset, strict=True)])
    pooled = POOLINGS[name](states, counts, real)
    expected = [naive(name, *row) for row in zip(states.tolist(), counts.tolist(), real.tolist(), strict=True)]
    torch.testing.assert_close(pooled, torch.tensor(expected, dtype=torch.float64))


def test_a_contract_names_every_pooling() -> None:
    assert set(POOLINGS) == set(NAMES)
