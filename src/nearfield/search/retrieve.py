"""Embeddings to a Ranking."""

from __future__ import annotations

from collections.abc import Sequence

from nearfield.errors import ContractError, InputError
from nearfield.index.blocked import blocked_top_k
from nearfield.index.exact import exact_top_k
from nearfield.index.shortlist import Shortlist
from nearfield.index.top import TopK
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.ranking import Ranking


def retrieve(
    query: Embeddings,
    documents: Embeddings,
    *,
    query_ids: Sequence[str],
    document_ids: Sequence[str],
    k: int,
    index: Shortlist | None = None,
) -> Ranking:
    """The k closest of m documents for each of n queries: by exact search, or on the shortlist that `index` gives of dense vectors.

    Raises InputError where there is not one id for each vector, ContractError where the dims or kinds differ.
    """
    for what, vectors, ids in (("query", query, query_ids), ("document", documents, document_ids)):
        if len(vectors) != len(ids):
            raise InputError(f"there are {len(vectors)} {what} vectors and {len(ids)} {what} ids; encode the same collection again")
    if index is None:
        return Ranking(query_ids, document_ids, *top_k(query, documents, k))
    if not isinstance(query, Dense) or not isinstance(documents, Dense):
        raise ContractError(f"a {index.kind} index is for dense vectors; got {query.kind} queries and {documents.kind} documents")
    return Ranking(query_ids, document_ids, *index.top_k(query, documents, k))


def top_k(query: Embeddings, documents: Embeddings, k: int) -> TopK:
    """The k closest of m documents for each of n queries, by exact search of whatever kind: positions (n, k) and scores (n, k).

    Raises ContractError where one side is of another kind or space than the other.
    """
    if query.kind != documents.kind:
        raise ContractError(f"queries are {query.kind} and documents {documents.kind}; both sides need the same model")
    if isinstance(query, Dense) and isinstance(documents, Dense):
        return exact_top_k(query, documents, k)
    return blocked_top_k(query, documents, k)
