"""What a vendor is paid for a model's vectors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Price:
    """US dollars `per_million_tokens`, and `per_thousand_documents` of the data that was
    measured.
    """

    per_million_tokens: float
    per_thousand_documents: float

    @classmethod
    def of(cls, per_million_tokens: float | None, tokens: int, documents: int) -> Price | None:
        """The price where the documents had so many tokens; None where there is none."""
        if per_million_tokens is None:
            return None
        thousand = 1000 * tokens / max(1, documents)
        return cls(per_million_tokens, per_million_tokens * thousand / 1e6)

    def __add__(self, other: Price) -> Price:
        return Price(
            self.per_million_tokens + other.per_million_tokens,
            self.per_thousand_documents + other.per_thousand_documents,
        )
