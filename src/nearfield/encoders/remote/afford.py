"""What encoding would cost, said and held against the budget before anything is asked."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nearfield.encoders.encoder import Encoder
from nearfield.encoders.remote.budget import BUDGET
from nearfield.types.forecast import Forecast
from nearfield.types.role import Role

log = logging.getLogger(__name__)
AT_ONCE = 8_192  # texts that are counted together; one that is in two such lots is counted twice
LARGEST = 64 << 20  # characters of a lot, which images reach first


def afford(encoders: Iterable[Encoder[Any]], texts: Mapping[Role, Iterable[str]]) -> None:
    """Say what it would cost to encode the texts of each role with all of the encoders, where
    anybody is paid. Raises BudgetError where that is more than may be spent.
    """
    forecasts = []
    for encoder in encoders:
        # asked for no text first: where nobody is paid, the texts need not be read
        if encoder.forecast([], next(iter(texts))) is None:
            continue
        for role, some in texts.items():
            forecast = _of(encoder, some, role)
            if forecast is not None and forecast.tokens:
                log.info("%s", forecast)
                forecasts.append(forecast)
    BUDGET.get().afford(forecasts)


def _of(encoder: Encoder[Any], texts: Iterable[str], role: Role) -> Forecast | None:
    whole = None
    for lot in _lots(texts):
        found = encoder.forecast(lot, role)
        whole = found if whole is None or found is None else whole + found
    return whole


def _lots(texts: Iterable[str]) -> Iterator[list[str]]:
    lot: list[str] = []
    size = 0
    for text in texts:
        lot.append(text)
        size += len(text)
        if len(lot) == AT_ONCE or size > LARGEST:
            yield lot
            lot = []
            size = 0
    if lot:
        yield lot
