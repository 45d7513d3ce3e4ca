"""What training asks of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from nearfield.batch.packed import Packed
from nearfield.models.backbones.native_layers import NativeLayers
from nearfield.types.contract import Contract


class Trainable(ABC):
    """A model whose weights are changed, and what it says of how.

    `contract`: how its embeddings are used, None where it makes none. `objective`: the name of what
    it is trained with where a recipe names nothing. `rates`: how many times the recipe's rate some
    weights learn at, by name. `unused`: the names of weights that training leaves as they are.
    `light`: what follows the backbone's layers is little work.
    """

    folder: Any
    backbone: Any
    adapters: Any
    device: torch.device
    precision: str
    packs: bool
    # in place of the backbone's own, while it is trained
    layers: NativeLayers | None = None
    contract: Contract | None = None
    objective: str
    light: bool = True
    rates: Mapping[str, float] = {}
    unused: frozenset[str] = frozenset()

    @property
    def layered(self) -> bool:
        """Whether the backbone's layers run as they stand, on packed tokens, so that the kernels
        may take their place.
        """
        # an adapter hooks the layers that the kernels replace; a static model has none
        return self.packs and self.adapters is None and self.table_size() is None

    def table_size(self) -> float | None:
        """The root mean square of the weights of a static model, in which its rate is measured;
        None for others.
        """
        return None

    @abstractmethod
    def parameters(self) -> dict[str, nn.Parameter]:
        """Every weight once, by name."""

    @abstractmethod
    def embed(self, batch: Packed) -> Any:
        """What a loss is computed of, differentiable: a tensor or several."""

    def shown(self, batch: Any) -> Any:
        """What tells whether the model gives all texts the same: what a loss is computed of, where
        that is made of each text.
        """
        return self.embed(batch)
