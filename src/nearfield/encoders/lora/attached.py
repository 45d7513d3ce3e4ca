"""Adapters beside a model's weights: each token goes through that of its sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nearfield.encoders.lora.low_rank import LowRank
from nearfield.errors import ModelError

NONE = -1
"""The number of no adapter."""


class Attached:
    """Several adapters on `model`, by number. `shared`: the one that sequences go through of which nothing else is said.

    The model's weights and their names stay as they are: what an adapter adds, a hook adds to the layer's output.
    """

    def __init__(self, model: nn.Module, adapters: Sequence[LowRank], *, shared: int = NONE) -> None:
        self.model, self.adapters, self.shared = model, list(adapters), shared
        self._acting: list[tuple[LowRank, Tensor | None]] = []
        self._places = 0
        changed = {name for adapter in adapters for name in adapter.pairs}
        for name in sorted(name for name in changed if not name.startswith("pooler.")):  # which no pooling here reads
            model.get_submodule(name).register_forward_hook(self._hook(name))

    def parameters(self) -> dict[str, nn.Parameter]:
        """Every adapter's matrices by name, as `adapters.0.encoder.layer.0.attention.self.query.lora_A`."""
        parts = (
            (f"adapters.{at}.{name}", weight) for at, adapter in enumerate(self.adapters) for name, weight in adapter.parameters().items()
        )
        return dict(parts)

    @contextmanager
    def acting(self, numbers: npt.NDArray[np.int64] | None, lengths: npt.NDArray[np.int64]) -> Iterator[None]:
        """Within the block, the model's next call takes sequences of `lengths: (n,)` places end to end, each through the adapter of its
        number in `numbers: (n,)`; None is the shared one for all."""
        numbers = np.full(len(lengths), self.shared) if numbers is None else numbers
        self._places = int(lengths.sum())
        wanted = [int(number) for number in np.unique(numbers) if number != NONE]
        alone = len(np.unique(numbers)) == 1
        at = np.repeat(numbers, lengths)
        device = next(self.model.parameters()).device
        self._acting = [
            (self.adapters[number], None if alone else torch.from_numpy(np.flatnonzero(at == number)).to(device)) for number in wanted
        ]
        try:
            yield
        finally:
            self._acting = []

    def merged(self, weights: dict[str, Tensor], number: int) -> dict[str, Tensor]:
        """The model's `weights`, by name, with what adapter `number` adds to them."""
        changed = dict(weights)
        for name, pair in self.adapters[number].pairs.items():
            key = f"{name}.weight"
            changed[key] = weights[key] + pair.delta(self.model.get_submodule(name)).detach()
        return changed

    def _hook(self, name: str) -> Any:
        def grown(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
            for adapter, rows in self._acting:
                pair = adapter.pairs.get(name)
                if pair is None:
                    continue
                if rows is None:
                    output = output + pair.of(given[0])
                    continue
                states = given[0].reshape(-1) if pair.embeds else given[0].reshape(-1, given[0].shape[-1])
                if len(states) != self._places:
                    raise ModelError(f"{name} is called with {len(states)} places of a batch of {self._places}; encode one role at a time")
                part = pair.of(states[rows])
                output = output.reshape(-1, output.shape[-1]).index_add(0, rows, part.to(output.dtype)).view_as(output)
            return output

        return grown
