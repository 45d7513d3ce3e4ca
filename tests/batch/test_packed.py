from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nearfield.batch.packed import mixed, pack, packed_batches
from nearfield.batch.tokens import Tokens


def tokens_of(rows: list[list[int]]) -> Tokens:
    offsets = np.cumsum([0, *map(len, rows)])
    return Tokens(
        np.array([token for row in rows for token in row], np.int32),
        offsets,
        np.zeros(len(rows), np.int64),
        0,
    )


ROWS = st.lists(st.lists(st.integers(0, 99), max_size=9), max_size=20)


@given(ROWS, st.integers(1, 30))
def test_each_sequence_is_in_one_batch_whole_and_within_the_budget(
    rows: list[list[int]], budget: int
) -> None:
    tokens = tokens_of(rows)
    batches = packed_batches(tokens, budget)
    seen = [int(item) for batch in batches for item in batch.items]
    assert sorted(seen) == list(range(len(rows)))
    assert [len(rows[item]) for item in seen] == sorted(map(len, rows), reverse=True)
    for batch in batches:
        assert len(batch.ids) <= budget or len(batch) == 1
        for place, item in enumerate(batch.items):
            assert batch.ids[batch.offsets[place] : batch.offsets[place + 1]].tolist() == rows[item]


@given(ROWS)
def test_groups_and_positions_are_those_of_a_plain_loop(rows: list[list[int]]) -> None:
    batch = pack(tokens_of(rows), np.arange(len(rows)))
    assert batch.positions.tolist() == [
        place for length in batch.lengths for place in range(length)
    ]
    covered = [length for _, count, length in batch.groups for _ in range(count)]
    assert covered == [length for length in batch.lengths if length]
    for first, count, length in batch.groups:
        starts = [first + row * length for row in range(count)]
        assert set(starts) <= set(batch.offsets[:-1].tolist())
    lengths = [length for _, _, length in batch.groups]
    assert len(set(lengths)) == len(lengths)


def test_items_chooses_and_equal_lengths_keep_their_order() -> None:
    tokens = tokens_of([[1], [2, 2], [3], [4, 4]])
    (batch,) = packed_batches(tokens, 100, items=np.array([3, 2, 0]))
    assert batch.items.tolist() == [3, 2, 0]
    assert batch.ids.tolist() == [4, 4, 3, 1]


def test_the_share_of_the_items_done_is_the_share_of_the_work() -> None:
    lengths = np.random.default_rng(0).lognormal(4, 1, 3000).astype(np.int64) + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = Tokens(np.zeros(offsets[-1], np.int32), offsets, np.zeros(len(lengths), np.int64), 0)
    batches = packed_batches(tokens, 2048)
    items, work = np.cumsum([[len(batch), len(batch.ids)] for batch in mixed(batches)], 0).T
    off = items / items[-1] - work / work[-1]
    assert np.abs(off[len(batches) // 10 :]).max() < 0.05
    assert sorted(map(id, mixed(batches))) == sorted(map(id, batches))
    assert mixed([]) == []
