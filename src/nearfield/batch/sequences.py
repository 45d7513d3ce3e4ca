"""Token sequences end to end, with named columns per token and per sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.types.arrays import Array, Positions

Places = Positions
Columns = Mapping[str, Array]
# each column's value where it is not given; those of the second table have one entry per sequence
PER_TOKEN: Columns = {
    # which of a pair's two texts a token belongs to, where the model is told that
    "types": np.zeros(1, np.int32),
    # whether a multi-vector model makes a vector of the token
    "counted": np.ones(1, bool),
}
PER_SEQUENCE: Columns = {
    # how many tokens at the end of a sequence look at the others and are looked at by none,
    # themselves included
    "unseen": np.zeros(1, np.int64),
    # the number of the adapter that a sequence goes through, -1 for none
    "adapters": np.full(1, -1, np.int64),
}


@dataclass(frozen=True)
class Sequences:
    """n token sequences end to end: `ids` (T,) int32; sequence i is `ids[offsets[i]:offsets[i +
    1]]`, `offsets` (n + 1,) int64.

    `columns`: (T,) each or (n,) each, by the names of `PER_TOKEN` and `PER_SEQUENCE`. `looked_up`:
    the tokens are terms, not to be run through a model.
    """

    ids: npt.NDArray[np.int32]
    offsets: Places
    columns: Columns = field(default_factory=dict, kw_only=True)
    looked_up: bool = field(default=False, kw_only=True)

    @property
    def lengths(self) -> Places:
        """(n,) int64, tokens per sequence."""
        return np.diff(self.offsets)

    @property
    def owners(self) -> Places:
        """(T,) int64, the sequence of each token."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.lengths)

    def column(self, name: str) -> Array | None:
        """The column of this name, None where every entry is as it is without one."""
        return self.columns.get(name)

    def filled(self, name: str) -> Array:
        """The column of this name, made of the value of an entry that is not given where it is
        None.
        """
        found = self.columns.get(name)
        if found is not None:
            return found
        if name in PER_TOKEN:
            return np.repeat(PER_TOKEN[name], len(self.ids))
        return np.repeat(PER_SEQUENCE[name], len(self.offsets) - 1)


def different(tokens: Sequences, size: int) -> tuple[Places, Places]:
    """The sequence and the id of each different token of a sequence, (m,) each, in rising order;
    `size` is how many ids there are.
    """
    # a number for each pair of sequence and id: one counts once, however often it is there
    row, id_ = np.divmod(np.unique(tokens.owners * size + tokens.ids), size)
    return row, id_


def taken(columns: Columns, *, tokens: Any, sequences: Any) -> dict[str, Array]:
    """The columns of the tokens and the sequences at these positions."""
    found = {}
    for name, column in columns.items():
        places = tokens if name in PER_TOKEN else sequences
        found[name] = column[places]
    return found


def joined(parts: Sequence[Sequences]) -> dict[str, Array]:
    """The columns of all parts, one after the other: each that some part has."""
    found: dict[str, Array] = {}
    for name in (*PER_TOKEN, *PER_SEQUENCE):
        if any(name in part.columns for part in parts):
            found[name] = np.concatenate([part.filled(name) for part in parts])
    return found


def laid_out(starts: Places, lengths: Places) -> tuple[Places, Places]:
    """Sequences of these lengths, cut from one array at `starts` (n,), end to end: the position
    there of each of their tokens (T,), and their offsets (n + 1,).
    """
    offsets = offsets_of(lengths)
    # how far each sequence moves, once for each of its tokens, and where those come to lie
    moved = np.repeat(starts - offsets[:-1], lengths)
    return moved + np.arange(offsets[-1]), offsets


def offsets_of(lengths: Array | Sequence[int]) -> Places:
    """(n + 1,) int64: where sequences of these lengths begin, end to end, and where the last ends;
    of a mask, how many are True before each place.
    """
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
