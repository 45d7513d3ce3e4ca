from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nearfield.batch.padded import pad, token_budget_batches
from nearfield.batch.tokens import Tokens

LENGTHS = st.lists(st.integers(0, 40), max_size=30).map(lambda lengths: np.array(lengths, np.int64))


@given(LENGTHS, st.integers(1, 200))
def test_every_item_is_in_one_batch_within_the_budget(lengths: np.ndarray, budget: int) -> None:
    batches = token_budget_batches(lengths, budget)
    assert sorted(np.concatenate([np.empty(0, int), *batches]).tolist()) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * lengths[batch].max() <= max(budget, len(batch)) for batch in batches)
    assert (np.diff([length for batch in batches for length in lengths[batch]]) <= 0).all()


@given(LENGTHS.filter(len))
def test_padding_fills_the_right_and_masks_it(lengths: np.ndarray) -> None:
    tokens = Tokens(np.arange(lengths.sum(), dtype=np.int32), np.concatenate([[0], lengths.cumsum()]), np.zeros_like(lengths), 0)
    ids, mask = pad(tokens, range(len(lengths)), fill=-7)
    assert ids.shape == mask.shape == (len(lengths), max(1, lengths.max()))
    for row, length in enumerate(lengths):
        assert ids[row].tolist() == tokens.of(row).tolist() + [-7] * (ids.shape[1] - length)
        assert mask[row].tolist() == [True] * length + [False] * (ids.shape[1] - length)
