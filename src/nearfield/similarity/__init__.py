"""Embeddings of several kinds: each states its similarity, its storage types and its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfield.registry import Registry

if TYPE_CHECKING:
    from nearfield.similarity.embeddings import Embeddings

EMBEDDINGS: Registry[type[Embeddings]] = Registry(
    "kind of embeddings",
    {
        "dense": "nearfield.similarity.dense:Dense",
        "multi-vector": "nearfield.similarity.multi_vector:MultiVector",
        # the word on disk and in contracts, from when three kinds were fused and no others
        "several": "nearfield.similarity.fused:Fused",
        "sparse": "nearfield.similarity.sparse:Sparse",
    },
)
"""The kinds by the name that vector folders and contracts state."""
