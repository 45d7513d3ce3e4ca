"""Weights of all terms to sparse embeddings."""

from __future__ import annotations

from nearfield.errors import InputError, ModelError
from nearfield.similarity.sparse import Sparse
from nearfield.types.arrays import Floats


def term_embeddings(weights: Floats, *, similarity: str, max_terms: int | None) -> Sparse:
    """The embeddings of `weights: (n, vocabulary)`, with the `max_terms` greatest of each item.

    Raises ModelError where weights are not finite: the model's own are broken.
    """
    try:
        found = Sparse.of(weights, similarity=similarity)
    except InputError as error:
        raise ModelError(f"{error}; the model's weights or precision are not usable") from error
    if max_terms is None:
        return found
    return found.truncate(max_terms)
