"""What a vendor is paid for a model's vectors."""

from __future__ import annotations

from dataclasses import dataclass

from nearfield.types.usage import Usage


@dataclass(frozen=True)
class Price:
    """US dollars `per_million_tokens`, and `per_thousand_documents` of the data that was
    measured.
    """

    per_million_tokens: float
    per_thousand_documents: float

    @classmethod
    def of(cls, per_million_tokens: float | None, read: Usage) -> Price | None:
        """The price of the documents that were read; None where there is none, and where some are
        images, whose tokens have another price.
        """
        if per_million_tokens is None or read.images:
            return None
        thousand = 1000 * read.tokens / max(1, read.items)
        return cls(per_million_tokens, per_million_tokens * thousand / 1e6)

    def __add__(self, other: Price) -> Price:
        return Price(
            self.per_million_tokens + other.per_million_tokens,
            self.per_thousand_documents + other.per_thousand_documents,
        )
