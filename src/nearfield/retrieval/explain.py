"""What a score is made of: the terms or tokens behind a match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nearfield.encoders.encoder import Encoder
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.explained import Match, Names
from nearfield.types.arrays import Floats
from nearfield.types.role import DOCUMENT, QUERY


@dataclass(frozen=True)
class Explanation:
    """The `matches` that a score is the sum of, and the query's terms that met nothing.

    Sparse embeddings have the shared terms, largest first; multi-vector ones each of the query's
    tokens, in order, with the closest of the document's; fused ones the matches of each part, as
    much of them as the fused score counts, with the score of a dense vector as one; dense ones that
    are a mean over tokens each of the document's tokens, in order, other dense ones none. Vectors
    that stand for no one token (see `MultiVector.pool`) are called by their place.

    `unmet` has first the words that the encoder does not know, in the text's order, then the other
    terms, the heaviest first (of a bag of words the rarest, whose queries weigh them all alike).
    """

    matches: list[Match]
    unmet: list[str]


@dataclass(frozen=True)
class Asked:
    """A query, as text and as the `embeddings` that `encoder` makes of it."""

    encoder: Encoder[Any]
    text: str
    embeddings: Embeddings

    def explain(self, document: Embeddings, text: str) -> Explanation:
        """The score of the query and of one document, whose text is `text`."""
        matches = self.embeddings.explain(document, _Names(self, text))
        terms = self.embeddings.unmet(document)
        # a kind without terms, which can lack none
        if terms is None:
            return Explanation(matches, [])
        names = self.encoder.names(self.encoder.rarest_first(terms))
        return Explanation(matches, [*self.encoder.unknown(self.text), *names])


@dataclass(frozen=True)
class _Names(Names):
    """What the query in `asked` and the document of this `text` are made of."""

    asked: Asked
    text: str

    def terms(self, numbers: Sequence[int]) -> list[str]:
        return self.asked.encoder.names(numbers)

    def query_tokens(self, count: int) -> list[str]:
        return _called(self.asked.encoder.read(self.asked.text, QUERY), count)

    def document_tokens(self, count: int) -> list[str]:
        return _called(self.asked.encoder.read(self.text, DOCUMENT), count)

    def document_parts(self) -> tuple[list[str], Floats] | None:
        return self.asked.encoder.token_parts(self.text, DOCUMENT)


def _called(names: list[str] | None, vectors: int) -> list[str]:
    """`names` where there is one per vector, else the vectors' places from 1."""
    if names is not None and len(names) == vectors:
        return names
    return [f"vector {place}" for place in range(1, vectors + 1)]
