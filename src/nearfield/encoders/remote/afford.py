"""What encoding would cost, said and held against the budget before anything is asked."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from nearfield.encoders.encoder import Encoder
from nearfield.encoders.remote.budget import BUDGET
from nearfield.types.forecast import Forecast
from nearfield.types.role import Role

log = logging.getLogger(__name__)
AT_ONCE = 8_192  # texts that are counted together; one that is in two such lots is counted twice


def afford(encoders: Iterable[Encoder[Any]], texts: Mapping[Role, Iterable[str]]) -> None:
    """Say what it would cost to encode the texts of each role with all of the encoders, where
    anybody is paid. Raises BudgetError where that is more than may be spent.
    """
    forecasts = []
    for encoder in encoders:
        if encoder.forecast([], next(iter(texts))) is None:
            continue
        for role, some in texts.items():
            forecast = _of(encoder, some, role)
            if forecast is not None and forecast.tokens:
                log.info("%s", forecast)
                forecasts.append(forecast)
    BUDGET.get().afford(forecasts)


def _of(encoder: Encoder[Any], texts: Iterable[str], role: Role) -> Forecast | None:
    rest = iter(texts)
    whole = None
    while some := list(islice(rest, AT_ONCE)):
        found = encoder.forecast(some, role)
        whole = found if whole is None or found is None else whole + found
    return whole
