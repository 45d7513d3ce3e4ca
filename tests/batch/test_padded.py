from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nearfield.batch.packed import Packed
from nearfield.batch.padded import pad, token_budget_batches

LENGTHS = st.lists(st.integers(0, 40), max_size=30).map(lambda lengths: np.array(lengths, np.int64))


@given(LENGTHS, st.integers(1, 200))
def test_every_item_is_in_one_batch_within_the_budget(lengths: np.ndarray, budget: int) -> None:
    batches = token_budget_batches(lengths, budget)
    assert sorted(np.concatenate([np.empty(0, int), *batches]).tolist()) == list(
        range(len(lengths))
    )
    assert all(
        len(batch) == 1 or len(batch) * lengths[batch].max() <= max(budget, len(batch))
        for batch in batches
    )
    assert (np.diff([length for batch in batches for length in lengths[batch]]) <= 0).all()


@given(LENGTHS.filter(len))
def test_padding_fills_the_right_and_masks_it(lengths: np.ndarray) -> None:
    every = np.arange(len(lengths))
    batch = Packed(
        np.arange(lengths.sum(), dtype=np.int32), np.concatenate([[0], lengths.cumsum()]), every
    )
    ids, mask = pad(batch, every, fill=-7)
    assert ids.shape == mask.shape == (len(lengths), max(1, lengths.max()))
    for row, length in enumerate(lengths):
        assert ids[row].tolist() == batch.ids[
            batch.offsets[row] : batch.offsets[row + 1]
        ].tolist() + [-7] * (ids.shape[1] - length)
        assert mask[row].tolist() == [True] * length + [False] * (ids.shape[1] - length)
