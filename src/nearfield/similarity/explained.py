"""What a score is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nearfield.types.arrays import Floats

WHOLE = "(dense vector)"


@dataclass(frozen=True)
class Match:
    """What of a query met what of a document, and what that adds to their score: a term that both
    have, or a token and the closest one; where vectors are dense, a token of the document as both.

    `part`: in a fused score, the name of the part that this belongs to.
    """

    query: str
    document: str
    score: float
    part: str = ""

    @property
    def name(self) -> str:
        """The two in one, `query ~ document` where they differ."""
        return self.query if self.query == self.document else f"{self.query} ~ {self.document}"


class Names(Protocol):
    """What the terms and tokens of one query and one document are called."""

    def terms(self, numbers: Sequence[int]) -> list[str]:
        """The terms of the vocabulary with these numbers."""

    def query_tokens(self, count: int) -> list[str]:
        """The query's `count` tokens that have a vector."""

    def document_tokens(self, count: int) -> list[str]:
        """The document's `count` tokens that have a vector."""

    def document_parts(self) -> tuple[list[str], Floats] | None:
        """The document's tokens and a vector for each, (k, dim), whose sum has the direction of its
        dense vector; None where that is no such sum.
        """
