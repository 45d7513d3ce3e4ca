"""Packed sequences as padded rows, for what reads nothing else; cut so that next to nothing is
padding.
"""

from __future__ import annotations

import numpy as np

from nearfield.batch.packed import Packed
from nearfield.types.arrays import Integers, Mask

PADDED = "padded"
EQUAL = "equal"
ALONE = "alone"
"""What shares a call of a model: texts of any lengths, of one length, or one text."""


def token_budget_batches(lengths: Integers, budget: int, together: str = PADDED) -> list[Integers]:
    """Positions of all items, longest first, cut so that items x longest stays within `budget`
    tokens (one item at least).

    `together` says which items share a batch. The order depends on the lengths alone, and ties keep
    their order.
    """
    order = np.argsort(-lengths, kind="stable")
    batches = []
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        size = 1 if together == ALONE else max(1, budget // max(1, longest))
        if together == EQUAL:  # they lie next to each other
            size = int((lengths[order[start : start + size]] == longest).sum())
        batches.append(order[start : start + size])
        start += size
    return batches


def pad(batch: Packed, items: Integers, fill: int) -> tuple[Integers, Mask]:
    """Token ids (B, T) int64 of the batch's sequences at `items`, with `fill` at the right, and the
    mask (B, T), True at real tokens.
    """
    lengths = batch.lengths[items]
    place = np.arange(max(1, int(lengths.max(initial=0))))
    mask = place[None, :] < lengths[:, None]
    ids = np.full(mask.shape, fill, np.int64)
    source = batch.offsets[items][:, None] + place  # (B, T), past a sequence's end where padded
    ids[mask] = batch.ids[source[mask]]
    return ids, mask
