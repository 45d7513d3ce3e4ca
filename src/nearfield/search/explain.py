"""What a score is made of: the terms or tokens behind a match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nearfield.encoders.encoder import Encoder
from nearfield.encoders.lexical import Lexical
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.multi_vector import MultiVector
from nearfield.similarity.several import Several
from nearfield.similarity.sparse import Sparse
from nearfield.types.role import DOCUMENT, QUERY

WHOLE = "(dense vector)"


@dataclass(frozen=True)
class Match:
    """What of a query met what of a document, and what that adds to their score: a term that both
    have, or a token and its closest.

    `part`: of a fused score, the kind of embeddings that it is of.
    """

    query: str
    document: str
    score: float
    part: str = ""


@dataclass(frozen=True)
class Asked:
    """A query, as text and as the `embeddings` that `encoder` makes of it."""

    encoder: Encoder[Any]
    text: str
    embeddings: Embeddings


def explain(asked: Asked, documents: Embeddings, document: int, *, text: str) -> list[Match]:
    """The matches that the score of the one query in `asked` and of document number `document`,
    whose text is `text`, is the sum of.

    Of sparse embeddings the shared terms, largest first; of multi-vector ones each of the query's
    tokens, in order, with the closest of the document's; of several kinds at once the matches of
    each, as much of them as the fused score counts, with the score of the dense vectors as one.
    Nothing for dense vectors alone: their score is not made of parts that mean something. Vectors
    that stand for no one token (see `MultiVector.pool`) are called by their place.
    """
    query = asked.embeddings
    if isinstance(query, Sparse) and isinstance(documents, Sparse):
        return _terms(asked.encoder, query, documents, document)
    if isinstance(query, MultiVector) and isinstance(documents, MultiVector):
        return _tokens(asked, query, documents, document, text)
    if isinstance(query, Several) and isinstance(documents, Several):
        weighted = []
        for kind, part in query.parts.items():
            weight = query.fusion.get(kind, 0.0)
            if not weight:
                continue
            theirs = documents.parts[kind]
            found = explain(Asked(asked.encoder, asked.text, part), theirs, document, text=text)
            if isinstance(part, Dense) and isinstance(theirs, Dense):
                found = [Match(WHOLE, WHOLE, float(part.scores(theirs[[document]])[0, 0]))]
            weighted += [
                Match(match.query, match.document, weight * match.score, kind) for match in found
            ]
        return weighted
    return []


def unmet(asked: Asked, documents: Embeddings, document: int) -> list[str]:
    """The terms of the one query in `asked` that found nothing in document number `document`.

    First the words that the encoder does not know, in the text's order, then the others, the
    heaviest first (of a bag of words the rarest, whose queries weigh them all alike). None of
    embeddings that are not sparse and have no sparse part that a fused score counts.
    """
    query = asked.embeddings
    if isinstance(query, Sparse) and isinstance(documents, Sparse):
        terms = query.unmet(0, documents, document)
        if isinstance(asked.encoder, Lexical):
            idf = asked.encoder.idf
            terms.sort(key=lambda term: -float(idf[term]))
        return [*asked.encoder.unknown(asked.text), *asked.encoder.names(terms)]
    if isinstance(query, Several) and isinstance(documents, Several):
        parts = {
            kind: Asked(asked.encoder, asked.text, part)
            for kind, part in query.parts.items()
            if query.fusion.get(kind)
        }
        return [
            name
            for kind, part in parts.items()
            for name in unmet(part, documents.parts[kind], document)
        ]
    return []


def _terms(encoder: Encoder[Any], query: Sparse, documents: Sparse, document: int) -> list[Match]:
    found = query.explain(0, documents, document)
    lengths = 1.0
    if query.similarity == "cosine":
        sizes = [
            float(np.linalg.norm(row.weights.astype(np.float64)))
            for row in (query[[0]], documents[[document]])
        ]
        lengths = max(sizes[0] * sizes[1], 1e-12)
    names = encoder.names([term for term, _, _ in found])
    return [
        Match(name, name, asked * given / lengths)
        for name, (_, asked, given) in zip(names, found, strict=True)
    ]


def _tokens(
    asked: Asked, query: MultiVector, documents: MultiVector, document: int, text: str
) -> list[Match]:
    mine = _called(asked.encoder.read(asked.text, QUERY), int(query.lengths[0]))
    theirs = _called(asked.encoder.read(text, DOCUMENT), int(documents.lengths[document]))
    return [
        Match(mine[token], theirs[best], score)
        for token, best, score in query.explain(0, documents, document)
    ]


def _called(names: list[str] | None, vectors: int) -> list[str]:
    """`names` where there is one a vector, else the vectors' places from 1."""
    return (
        names
        if names is not None and len(names) == vectors
        else [f"vector {place}" for place in range(1, vectors + 1)]
    )
