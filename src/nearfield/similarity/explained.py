"""What a score is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

WHOLE = "(dense vector)"


@dataclass(frozen=True)
class Match:
    """What of a query met what of a document, and what that adds to their score: a term that both
    have, or a token and the closest one.

    `part`: in a fused score, the name of the part that this belongs to.
    """

    query: str
    document: str
    score: float
    part: str = ""


class Names(Protocol):
    """What the terms and tokens of one query and one document are called."""

    def terms(self, numbers: Sequence[int]) -> list[str]:
        """The terms of the vocabulary with these numbers."""

    def query_tokens(self, count: int) -> list[str]:
        """The query's `count` tokens that have a vector."""

    def document_tokens(self, count: int) -> list[str]:
        """The document's `count` tokens that have a vector."""
