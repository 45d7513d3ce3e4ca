"""What may be spent, and what something would cost."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextvars import ContextVar, Token
from typing import Self

from nearfield.errors import BudgetError
from nearfield.types.forecast import Forecast


class Budget:
    """At most `max_price` US dollars for all models that are opened in its context; no limit where
    it is None.

    `with Budget(2.5): compare(...)` refuses what is forecast to exceed what is left of it, before
    the first request. `spent` is what was paid, or may have been for an answer that did not come.
    """

    def __init__(self, max_price: float | None = None) -> None:
        if max_price is not None and not 0 <= max_price < float("inf"):
            raise BudgetError(f"the most to pay is {max_price}; wanted a number of dollars")
        self.max_price = max_price
        self.spent = 0.0
        self._lock = threading.Lock()
        self._before: Token[Budget] | None = None

    def afford(self, forecasts: Iterable[Forecast]) -> None:
        """Raise BudgetError where the forecasts together are more than is left, or the price of
        one is not known.
        """
        if self.max_price is None:
            return
        wanted = [forecast for forecast in forecasts if forecast.tokens]
        unknown = next((each for each in wanted if each.price is None), None)
        if unknown is not None:
            raise BudgetError(
                f"the price of {unknown.model} is not known, so that no limit can be kept; "
                "leave out the limit or the model"
            )
        total = sum(forecast.price or 0.0 for forecast in wanted)
        if self.spent + total > self.max_price:
            spent = f", and ${self.spent:.6g} are spent" if self.spent else ""
            raise BudgetError(
                f"{'; '.join(map(str, wanted))}: ${total:.6g} is more than the limit of "
                f"${self.max_price:g}{spent}; nothing was asked"
            )

    def pay(self, price: float | None) -> None:
        """Count what was billed."""
        # requests of several threads are billed at once
        with self._lock:
            self.spent += price or 0.0

    def __enter__(self) -> Self:
        self._before = BUDGET.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._before is not None, "left without being entered"
        BUDGET.reset(self._before)


BUDGET: ContextVar[Budget] = ContextVar("budget", default=Budget())  # noqa: B039
"""What models that are opened now spend from."""
