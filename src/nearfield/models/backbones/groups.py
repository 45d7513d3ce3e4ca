"""Where the sequences of a packed row lie, as attention needs it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nearfield.batch.packed import Packed


class Groups:
    """The runs of sequences of equal length in a packed row, and what one forward pass computes
    once for all of its layers.

    `runs` are (first token, sequences, length), `seen` how many tokens of each of a run's sequences
    are looked at; `longest` is the greatest length.
    """

    def __init__(self, batch: Packed, device: torch.device) -> None:
        self.runs = batch.groups
        self.seen = batch.seen
        self.longest = int(batch.lengths.max(initial=0))
        # sequences without a token lie at the end
        filled = int((batch.lengths > 0).sum())
        self._offsets = batch.offsets[: filled + 1]
        self._device = device
        self._kept: dict[tuple[object, ...], Tensor] = {}

    @property
    def offsets(self) -> Tensor:
        """(n + 1,) int32 on the device: where each sequence that has a token begins, and the last
        one's end.
        """

        def make() -> Tensor:
            return torch.from_numpy(self._offsets).to(self._device, torch.int32)

        return self.once(("offsets",), make)

    def near(self, length: int, window: int, *, causal: bool) -> Tensor:
        """(length, length) bool, True where token i may look at token j: less than `window` apart,
        and j not after i where causal.
        """

        def make() -> Tensor:
            place = torch.arange(length, device=self._device)
            apart = place[:, None] - place[None, :]
            if causal:
                return (apart.abs() < window) & (apart >= 0)
            return apart.abs() < window

        return self.once(("near", length, window, causal), make)

    def once(self, key: tuple[object, ...], make: Callable[[], Tensor]) -> Tensor:
        """What `make` gives, made the first time that it is asked for under `key`."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]
