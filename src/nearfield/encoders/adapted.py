"""An encoder with an adapter behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nearfield.data.trained_on import TrainedOn
from nearfield.encoders.adapter import Adapter
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.wrapped import Wrapped
from nearfield.similarity.dense import Dense
from nearfield.types.progress import Progress, silent
from nearfield.types.role import Role


class Adapted(Wrapped[Dense]):
    """`encoder` whose vectors go through the map of `adapter` in its role. Raises ContractError for
    one whose vectors do not fit the map.
    """

    def __init__(self, encoder: Encoder[Any], adapter: Adapter) -> None:
        adapter.check(encoder.contract)
        name = f"{encoder.contract.name} adapted"
        super().__init__(encoder, replace(encoder.contract, name=name))
        self.adapter = adapter

    @property
    def identity(self) -> dict[str, str] | None:
        own = self.encoder.identity
        if own is None:
            return None
        # without it the cache would take a vector of the model alone for one behind the map
        return {**own, "adapter": self.adapter.files}

    @property
    def trained_on(self) -> TrainedOn:
        return self.encoder.trained_on | self.adapter.trained_on

    def encode_as(self, role: Role, items: Sequence[str], *, progress: Progress = silent) -> Dense:
        made = self.encoder.encode(items, role, progress=progress).as_dense("an adapter")
        return self.adapter.behind_each(made, {role: np.arange(len(items))})
