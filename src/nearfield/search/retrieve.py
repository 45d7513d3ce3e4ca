"""Vectors to a Ranking."""

from __future__ import annotations

from collections.abc import Sequence

from nearfield.errors import InputError
from nearfield.index.exact import exact_top_k
from nearfield.similarity.dense import Dense
from nearfield.types.ranking import Ranking


def retrieve(query: Dense, documents: Dense, *, query_ids: Sequence[str], document_ids: Sequence[str], k: int) -> Ranking:
    """The k closest of m documents for each of n queries, by exact search.

    Raises InputError where there is not one id for each vector, ContractError where the dims differ.
    """
    for what, vectors, ids in (("query", query, query_ids), ("document", documents, document_ids)):
        if len(vectors) != len(ids):
            raise InputError(f"there are {len(vectors)} {what} vectors and {len(ids)} {what} ids; encode the same collection again")
    return Ranking(query_ids, document_ids, *exact_top_k(query, documents, k))
