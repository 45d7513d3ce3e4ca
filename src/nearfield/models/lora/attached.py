"""Adapters beside a model's weights: each token goes through that of its sequence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nearfield.errors import ModelError
from nearfield.models.lora.low_rank import LowRank, Pair
from nearfield.types.arrays import Integers

NONE = -1
"""The number of no adapter."""


class Attached:
    """Several adapters on `model`, by number. `shared`: the one that sequences go through of which
    nothing else is said.

    The model's weights and their names stay as they are: what an adapter adds, a hook adds to the
    layer's output. Of a mixed batch every place goes through the first matrices of all adapters at
    once, which are narrow, and only its own adapter's part of that through the second: two products
    for all of them, and no place is moved.
    """

    def __init__(
        self, model: nn.Module, adapters: Sequence[LowRank], *, shared: int = NONE
    ) -> None:
        self.model = model
        self.adapters = list(adapters)
        self.shared = shared
        self._acting: list[int] = []
        # (places,) the adapter of each, where they are not all of one
        self._at: Tensor | None = None
        changed: set[str] = set()
        for adapter in adapters:
            changed |= adapter.pairs.keys()
        for name in sorted(changed):
            if not name.startswith("pooler."):  # which no pooling here reads
                model.get_submodule(name).register_forward_hook(self._hook(name))

    def parameters(self) -> dict[str, nn.Parameter]:
        """Every adapter's matrices by name, as
        `adapters.0.encoder.layer.0.attention.self.query.lora_A`.
        """
        named = {}
        for at, adapter in enumerate(self.adapters):
            for name, weight in adapter.parameters().items():
                named[f"adapters.{at}.{name}"] = weight
        return named

    @contextmanager
    def acting(self, numbers: Integers | None, lengths: Integers) -> Iterator[None]:
        """Within the block, the model's next call takes sequences of `lengths: (n,)` places end to
        end, each through the adapter of its number in `numbers: (n,)`; None is the shared one for
        all.
        """
        numbers = np.full(len(lengths), self.shared) if numbers is None else numbers
        wanted = np.unique(numbers)
        self._acting = [int(number) for number in wanted if number != NONE]
        device = next(self.model.parameters()).device
        self._at = None
        if len(wanted) > 1:
            self._at = torch.from_numpy(np.repeat(numbers, lengths)).to(device)
        try:
            yield
        finally:
            self._acting = []  # the model alone is as it was

    def merged(self, weights: dict[str, Tensor], number: int) -> dict[str, Tensor]:
        """The model's `weights`, by name, with what adapter `number` adds to them."""
        changed = dict(weights)
        for name, pair in self.adapters[number].pairs.items():
            key = f"{name}.weight"
            delta = pair.delta(self.model.get_submodule(name))
            changed[key] = weights[key] + delta.detach()
        return changed

    def _hook(self, name: str) -> Any:
        def grown(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
            pairs = {
                number: self.adapters[number].pairs[name]
                for number in self._acting
                if name in self.adapters[number].pairs
            }
            if not pairs:
                return output
            # the matrices of all adapters side by side, for two products however many there are
            down = torch.cat([pair.down for pair in pairs.values()])  # (ranks, fan_in)
            up = torch.cat([pair.up * pair.scale for pair in pairs.values()], 1)
            if isinstance(layer, nn.Embedding):
                # (..., ranks): ids choose columns of the first matrices
                narrow = nn.functional.embedding(given[0], down.T)
            else:
                narrow = nn.functional.linear(given[0], down)
            if self._at is not None:
                narrow = self._own(narrow, pairs, name)
            return output + nn.functional.linear(narrow, up)

        return grown

    def _own(self, narrow: Tensor, pairs: Mapping[int, Pair], name: str) -> Tensor:
        """`narrow: (..., ranks)`, what the first matrices of all `pairs` give for each place, with
        those of other adapters set to 0.
        """
        assert self._at is not None
        if narrow.shape[:-1].numel() != len(self._at):
            raise ModelError(
                f"{name} takes {narrow.shape[:-1].numel()} places of a batch of "
                f"{len(self._at)}; encode one role at a time"
            )
        owners = [torch.full((len(pair.down),), number) for number, pair in pairs.items()]
        owner = torch.cat(owners).to(narrow.device)  # (ranks,) the adapter of each
        foreign = self._at[:, None] != owner
        return narrow.masked_fill(foreign.view_as(narrow), 0.0)


def shared_by_all(adapters: Attached | None) -> AbstractContextManager[None]:
    """A block in which everything goes through the shared one of the adapters, if there are any."""
    if adapters is None:
        return nullcontext()
    return adapters.acting(None, np.ones(1, np.int64))
