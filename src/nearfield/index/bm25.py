"""BM25, the lexical baseline that every model is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nearfield.encoders.lexical import BagOfWords, Lexical
from nearfield.index.inverted import Inverted
from nearfield.index.top import TopK


def first_found(documents: Sequence[str], queries: Sequence[str]) -> npt.NDArray[np.int64]:
    """(queries,) the position of the document that BM25 ranks first, -1 where no document has a
    term of the query.
    """
    return BM25(documents).top_k(queries, 1)[0][:, 0]


class BM25:
    """An index of `texts` by their stemmed words: the sparse vectors of `encoder`, inverted.

    Lucene's variant, as `BagOfWords` has it: the score is the sum over the query's terms, repeated
    ones counted again. `stemmer` and `stop_words` are as `Words` takes them. Raises InputError for
    an unknown language, k1 or b.
    """

    def __init__(
        self,
        texts: Sequence[str],
        *,
        k1: float = 1.5,
        b: float = 0.75,
        stemmer: str | None = "english",
        stop_words: Sequence[str] | None = None,
    ) -> None:
        bag = BagOfWords("bm25", k1, b, stemmer, None if stop_words is None else tuple(stop_words))
        self.encoder, documents = Lexical.fitted(texts, bag)
        self._index = Inverted.of(documents)

    def __len__(self) -> int:
        return len(self._index)

    @property
    def bytes_per_document(self) -> float:
        """Bytes of the index's arrays, and of its terms, for each document."""
        terms = self.encoder.terms
        return (
            float(self._index.nbytes + sum(len(term.encode()) for term in terms)) / len(self)
            if terms
            else 0.0
        )

    def top_k(self, queries: Sequence[str], k: int) -> TopK:
        """The k documents with the highest score for each of n queries; equal scores go to the
        smaller position.

        Returns documents (n, k) int64, -1 where fewer than k documents have a term of the query,
        and scores (n, k) float32, -inf there. A query with no known term finds nothing.
        """
        asked = self.encoder.words.look_up(queries)
        return self._index.search(
            asked.terms, np.ones(len(asked.terms), np.float32), asked.offsets, k
        )
