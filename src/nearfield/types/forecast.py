"""What work would cost, before it is begun."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Forecast:
    """`tokens` of `items`, texts or images, that `model` would be asked for: those that are not in
    the cache.

    `price` is in US dollars, None where none is known; `counted_by` says what counted the tokens,
    "" where they are estimated.
    """

    model: str
    items: int
    tokens: int
    price: float | None
    counted_by: str = ""

    def __add__(self, other: Forecast) -> Forecast:
        """The forecast of the work of both, by the same model."""
        price = None
        if self.price is not None and other.price is not None:
            price = self.price + other.price
        return Forecast(
            self.model,
            self.items + other.items,
            self.tokens + other.tokens,
            price,
            self.counted_by if self.counted_by == other.counted_by else "",
        )

    def __str__(self) -> str:
        how = f"counted by {self.counted_by}" if self.counted_by else "estimated"
        price = "price unknown" if self.price is None else f"${self.price:.6g}"
        return f"{self.model}: {self.items:,} items, {self.tokens:,} tokens ({how}), {price}"
