"""Token states from a graph that wants padded rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nearfield.batch.packed import Packed
from nearfield.batch.padded import pad, token_budget_batches
from nearfield.store.atomic import write_json
from nearfield.store.fields import read_json
from nearfield.types.arrays import Array, Floats, Integers

INPUTS = ("input_ids", "attention_mask")
Run = Callable[[Integers, Integers], Array]
"""Ids and mask (B, L), 1 at real tokens, to states (B, L, hidden)."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """What a converted graph does not say of itself: the id that fills padded places, the states'
    dimensions, which texts share a call (see `Habits`), and how many tokens of one there are places
    for.
    """

    fill: int
    hidden: int
    together: str
    places: int | None

    def save(self, folder: Path) -> None:
        """Write it beside the graph."""
        write_json(folder / "shape.json", self)

    @classmethod
    def open(cls, folder: Path) -> Shape:
        """What lies beside the graph in `folder`."""
        return cls(**read_json(folder / "shape.json"))

    def states(self, batch: Packed, run: Run) -> Floats:
        """The states (T, hidden) of the batch's tokens, by padded rows of no more places in one
        call than the batch has tokens.
        """
        parts = [np.empty((0, self.hidden), np.float32)]
        # lengths fall, so that the empty sequences are the last ones
        full = batch.lengths[batch.lengths > 0]
        for items in token_budget_batches(full, max(1, len(batch.ids)), self.together):
            ids, mask = pad(batch, items, self.fill)
            # (tokens, hidden): the mask takes the real ones row by row, which is the batch's order
            parts.append(run(ids, mask.astype(np.int64))[mask])
        return np.concatenate(parts, dtype=np.float32)
