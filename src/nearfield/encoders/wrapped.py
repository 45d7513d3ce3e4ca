"""An encoder around another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nearfield.data.trained_on import TrainedOn
from nearfield.encoders.encoder import E, Encoder
from nearfield.types.contract import Contract
from nearfield.types.forecast import Forecast
from nearfield.types.role import Role


class Wrapped(Encoder[E]):
    """`encoder` with something done to its texts or vectors, under a contract that says so. Queries
    and documents are treated differently.
    """

    roles_differ = True

    def __init__(self, encoder: Encoder[Any], contract: Contract) -> None:
        self.encoder = encoder
        self.contract = contract
        self.reads_images = encoder.reads_images
        self.worth_caching = encoder.worth_caching
        self.kind_of_model = encoder.kind_of_model

    @property
    def trained_on(self) -> TrainedOn:
        return self.encoder.trained_on

    def forecast(self, items: Sequence[str], role: Role) -> Forecast | None:
        return self.encoder.forecast(items, role)
