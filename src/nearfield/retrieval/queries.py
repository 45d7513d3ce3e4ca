"""What is searched for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nearfield.data.collection import Split
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Integers


@dataclass(frozen=True)
class Queries:
    """n queries, as texts with ids.

    `own`: (n,) int64, the position of the document that is the query itself and is left out of its
    results, -1 for none; None where no query has one. `made` holds, by the name of a first stage,
    the embeddings that its encoder has already made of the texts.
    """

    texts: Sequence[str]
    ids: Sequence[str]
    own: Integers | None = None
    made: Mapping[str, Embeddings] = field(default_factory=dict)

    @classmethod
    def of(cls, split: Split, made: Mapping[str, Embeddings] | None = None) -> Queries:
        """The queries of a split. A query that is itself a document does not find itself, as in
        BEIR, unless the collection says `keep_own`.
        """
        return cls(split.query_texts, split.query_ids, split.left_out, made or {})

    @classmethod
    def of_texts(
        cls, texts: Sequence[str], made: Mapping[str, Embeddings] | None = None
    ) -> Queries:
        """Texts without ids, which are called by their numbers from 1."""
        ids = [str(number) for number in range(1, len(texts) + 1)]
        return cls(texts, ids, made=made or {})
