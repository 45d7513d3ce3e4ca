"""Embeddings to a Ranking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from nearfield.errors import ContractError, InputError
from nearfield.index.blocked import blocked_top_k
from nearfield.index.exact import exact_top_k
from nearfield.index.inverted import Inverted
from nearfield.index.shortlist import Shortlist
from nearfield.index.top import TopK
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.sparse import Sparse
from nearfield.types.ranking import Ranking


def retrieve(
    query: Embeddings,
    documents: Embeddings,
    *,
    query_ids: Sequence[str],
    document_ids: Sequence[str],
    k: int,
    index: Shortlist | None = None,
    own: npt.NDArray[np.int64] | None = None,
) -> Ranking:
    """The k closest of m documents for each of n queries: by exact search, or on the shortlist that
    `index` gives of dense vectors.

    `own`: (n,) int64, the document that is left out of each query's ranking (see `Split.left_out`),
    -1 for none. Raises InputError where there is not one id for each vector, ContractError where
    the dims or kinds differ.
    """
    for what, vectors, ids in (("query", query, query_ids), ("document", documents, document_ids)):
        if len(vectors) != len(ids):
            raise InputError(
                f"there are {len(vectors)} {what} vectors and {len(ids)} {what} ids; "
                "encode the same collection again"
            )
    deep = k if own is None else k + 1
    if index is None:
        found = top_k(query, documents, deep)
    else:
        what = f"a {index.kind} index"
        found = index.top_k(query.as_dense(what), documents.as_dense(what), deep)
    return Ranking(query_ids, document_ids, *found).without(own, k)


def top_k(query: Embeddings, documents: Embeddings, k: int) -> TopK:
    """The k closest of m documents for each of n queries, by exact search of whatever kind:
    positions (n, k) and scores (n, k).

    Raises ContractError where one side is of another kind or space than the other.
    """
    return finder(documents)(query, k)


def finder(documents: Embeddings) -> Callable[[Embeddings, int], TopK]:
    """Exact search among `documents`, as `top_k`, for whoever asks more than once: what can be made
    ready is made once.

    Weights of terms that are not negative and compared by their dot product are inverted; a
    document that shares no term with a query is then not found at all. All else is scored document
    by document.
    """
    inverted = Inverted.of(cast(Sparse, documents)) if documents.inverts else None

    def find(query: Embeddings, k: int) -> TopK:
        if query.kind != documents.kind:
            raise ContractError(
                f"queries are {query.kind} and documents {documents.kind}; both "
                "sides need the same model"
            )
        if documents.one_vector:
            return exact_top_k(query.as_dense("search"), documents.as_dense("search"), k)
        if inverted is not None and query.inverts:
            return inverted.top_k(cast(Sparse, query), k)
        return blocked_top_k(query, documents, k)

    return find
