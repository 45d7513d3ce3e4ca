"""Embeddings of queries to a Ranking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nearfield.errors import InputError
from nearfield.indexes.index import Index
from nearfield.retrieval.queries import Queries
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Mask
from nearfield.types.ranking import Ranking


def retrieve(
    asked: Embeddings,
    index: Index[Any],
    queries: Queries,
    document_ids: Sequence[str],
    *,
    k: int,
    where: Mask | None = None,
) -> Ranking:
    """The k closest of the index's m documents to each of `asked`, the embeddings of the n queries,
    without each query's own document.

    `where`: (m,) bool, True for a document that may be found. Raises InputError where there is not
    one id for each vector, ContractError where queries and documents do not fit.
    """
    for what, vectors, ids in (("query", asked, queries.ids), ("document", index, document_ids)):
        if len(vectors) != len(ids):
            raise InputError(
                f"there are {len(vectors)} {what} vectors and {len(ids)} {what} ids; "
                "encode the same collection again"
            )
    # where a query's own document is found, one result more is needed to be left with k
    deep = k if queries.own is None else k + 1
    found = index.search(asked, deep, where=where)
    return found.named(queries.ids, document_ids).without(queries.own, k)
