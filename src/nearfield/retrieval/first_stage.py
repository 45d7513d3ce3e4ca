"""What finds a query's documents before they are fused or re-ranked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nearfield.encoders.encoded import encoded
from nearfield.encoders.encoder import Encoder
from nearfield.indexes.index import Index, exact_index
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.ranking import Ranking
from nearfield.types.role import QUERY


@dataclass(frozen=True)
class FirstStage:
    """An index of the documents, and the encoder that made them and makes the queries.

    `documents` are the embeddings behind the index; queries are cut as they are. Where they are
    None, those of a document are made again when its score is explained. `ask` makes the index's
    queries of texts; the encoder does when it is not given.
    """

    name: str
    encoder: Encoder[Any]
    index: Index[Any]
    documents: Embeddings | None = None
    ask: Callable[[Sequence[str]], Embeddings] | None = None

    @classmethod
    def exact(cls, name: str, encoder: Encoder[Any], documents: Embeddings) -> FirstStage:
        """Exact search among these documents."""
        return cls(name, encoder, exact_index(documents), documents)

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """The texts as the index is asked for them."""
        if self.ask is not None:
            return self.ask(texts)
        made = encoded(self.encoder, texts, QUERY)
        if self.documents is not None and self.documents.one_vector:
            # a vector folder may keep fewer dimensions than the model makes
            dim = self.documents.as_dense("search").dim
            made = made.as_dense("search").truncate(dim)
        return made

    def find(self, texts: Sequence[str], k: int) -> Ranking:
        """The k closest documents to each text, all where there are fewer, without ids."""
        return self.index.search(self.encode(texts), min(k, max(1, len(self.index))))
