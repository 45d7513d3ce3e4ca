"""An encoder that makes each text's embedding once, and counts what it made."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nearfield.data.trained_on import TrainedOn
from nearfield.encoders.encoded import encoded
from nearfield.encoders.encoder import Encoder
from nearfield.types.forecast import Forecast
from nearfield.types.progress import Progress, silent
from nearfield.types.role import Role


class Remembering(Encoder[Any]):
    """`encoder`, called `name`, whose embeddings are kept in memory as long as it lives.

    One text alone is made again, which is how a query is timed. `characters` are those of what was
    made together, and `seconds` what that took, now or where it is from the vector cache then.
    """

    def __init__(self, encoder: Encoder[Any], name: str) -> None:
        self.encoder = encoder
        self.contract = replace(encoder.contract, name=name)
        self.characters = 0
        self.seconds = 0.0
        self._made: dict[Role, Any] = {}
        self._places: dict[Role, dict[str, int]] = {}

    @property
    def trained_on(self) -> TrainedOn:
        return self.encoder.trained_on

    @property
    def roles_differ(self) -> bool:
        return self.encoder.roles_differ

    def forecast(self, items: Sequence[str], role: Role) -> Forecast | None:
        """That of the items that are not made yet."""
        known = self._places.get(role, {})
        return self.encoder.forecast([item for item in items if item not in known], role)

    def encode_as(self, role: Role, items: Sequence[str], *, progress: Progress = silent) -> Any:
        if len(items) == 1:
            return self.encoder.encode_as(role, items, progress=progress)
        places = self._places.setdefault(role, {})
        missing = list(dict.fromkeys(item for item in items if item not in places))
        if missing or role not in self._made:
            started = time.perf_counter()
            part: Any = encoded(self.encoder, missing, role, progress=progress)
            seconds = part.usage.seconds or time.perf_counter() - started
            self.seconds += seconds
            self.characters += sum(map(len, missing))
            usage = replace(part.usage, seconds=seconds)
            whole = self._made.get(role)
            if whole is not None:
                usage = whole.usage + usage
                part = type(part).join([whole, part])
            self._made[role] = replace(part, usage=usage, counts=None)
            for item in missing:  # they lie behind those that were there
                places[item] = len(places)
        rows = np.array([places[item] for item in items], np.int64)
        return self._made[role][rows]
