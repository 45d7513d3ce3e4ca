"""BM25, the lexical baseline that every model is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import Stemmer

from nearfield.errors import InputError, nearest
from nearfield.index.inverted import Inverted
from nearfield.index.top import TopK
from nearfield.index.words import Words
from nearfield.similarity.sparse import Sparse


class BM25:
    """An index of `texts` by their stemmed words.

    Lucene's variant: idf(t) = ln(1 + (N - df + .5) / (df + .5)), score = sum over the query's terms, repeated ones counted again,
    of idf(t) * tf / (tf + k1 * (1 - b + b * length / mean length)) (Kamphuis et al. 2020, Table 1). Its idf is above 0 for
    every term; Robertson's is 0 for a term in half of the documents, which in a small collection empties rankings.

    `stemmer` is a Snowball language or None; `stop_words` of None is that language's list where there is one (English without
    a stemmer). A word is two or more letters or digits in lower case; `_` parts words, so that identifiers are searched by
    their parts. Raises InputError for an unknown language, k1 or b.
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
        if k1 < 0 or not 0 <= b <= 1:
            raise InputError(f"BM25 got k1 {k1:g} and b {b:g}; wanted k1 of at least 0 and b between 0 and 1")
        left_out = _stop_words(stemmer or "english") if stop_words is None else stop_words
        self._words = Words(stemmer=None if stemmer is None else _snowball(stemmer), stop_words=left_out)
        self._index = Inverted.of(self._weighted(texts, k1, b))

    def __len__(self) -> int:
        return len(self._index)

    @property
    def bytes_per_document(self) -> float:
        """Bytes of the index's arrays, and of its terms, for each document."""
        terms = self._words.terms
        return float(self._index.nbytes + sum(len(term.encode()) for term in terms)) / len(self) if terms else 0.0

    def top_k(self, queries: Sequence[str], k: int) -> TopK:
        """The k documents with the highest score for each of n queries; equal scores go to the smaller position.

        Returns documents (n, k) int64, -1 where fewer than k documents have a term of the query, and scores (n, k) float32,
        -inf there. A query with no known term finds nothing.
        """
        terms, offsets = self._words.look_up(queries)
        return self._index.search(terms, np.ones(len(terms), np.float32), offsets, k)

    def _weighted(self, texts: Sequence[str], k1: float, b: float) -> Sparse:
        """Each text's terms with what each adds to a query that has it."""
        from scipy.sparse import csr_array

        terms, offsets = self._words.learn(texts)
        lengths = np.diff(offsets)
        counts = csr_array((np.ones(len(terms), np.float32), terms, offsets), shape=(len(lengths), len(self._words.terms)))
        counts.sum_duplicates()
        found_in = np.bincount(counts.indices, minlength=counts.shape[1])
        idf = np.log(1 + (len(lengths) - found_in + 0.5) / (found_in + 0.5)).astype(np.float32)
        long = np.repeat(lengths / max(lengths.mean() if len(lengths) else 0, 1e-12), np.diff(counts.indptr))
        counts.data = (idf[counts.indices] * (counts.data / (k1 * (1 - b + b * long) + counts.data))).astype(np.float32)
        return Sparse.of(counts)


def _snowball(language: str) -> Stemmer.Stemmer:
    known = Stemmer.algorithms()
    if language not in known:
        raise InputError(f"there is no stemmer for {language!r}; wanted one of {', '.join(known)}.{nearest(language, known)}")
    return Stemmer.Stemmer(language)


def _stop_words(language: str) -> list[str]:
    from bm25s import stopwords

    return list(getattr(stopwords, f"STOPWORDS_{'EN' if language in ('english', 'porter') else language.upper()}", ()))
