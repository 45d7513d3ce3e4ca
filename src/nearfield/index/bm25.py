"""BM25, the lexical baseline that every model is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import bm25s
import numpy as np
import Stemmer

from nearfield.errors import InputError, nearest
from nearfield.index.top import TopK, best, empty_top_k

WORD = r"(?u)[^\W_]{2,}"


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
        self._stemmer = None if stemmer is None else _snowball(stemmer)
        self._stop_words = _stop_words(stemmer or "english") if stop_words is None else list(stop_words)
        tokens = self._tokens(texts)
        self._documents = len(tokens.ids)
        self._index = bm25s.BM25(k1=k1, b=b, method="lucene")
        self._terms: dict[str, int] = tokens.vocab
        if self._terms:
            self._index.index(tokens, create_empty_token=False, show_progress=False)

    def __len__(self) -> int:
        return self._documents

    @property
    def bytes_per_document(self) -> float:
        """Bytes of the index's arrays, and of its terms, for each document."""
        if not self._terms:
            return 0.0
        arrays = sum(self._index.scores[name].nbytes for name in ("data", "indices", "indptr"))
        return float(arrays + sum(len(term.encode()) for term in self._terms)) / self._documents

    def top_k(self, queries: Sequence[str], k: int) -> TopK:
        """The k documents with the highest score for each of n queries; equal scores go to the smaller position.

        Returns documents (n, k) int64, -1 where fewer than k documents have a term of the query, and scores (n, k) float32,
        -inf there. A query with no known term finds nothing.
        """
        found, scores = empty_top_k(len(queries), k)
        for row, terms in enumerate(self._query_terms(queries)):
            if not terms:
                continue
            scored = self._index.get_scores_from_ids(terms)
            matched = np.flatnonzero(scored > 0)
            order = best(scored[matched], matched, k)
            found[row, : len(order)] = matched[order]
            scores[row, : len(order)] = scored[matched[order]]
        return found, scores

    def _query_terms(self, queries: Sequence[str]) -> list[list[int]]:
        tokens = self._tokens(queries)
        known = {number: self._terms[term] for term, number in tokens.vocab.items() if term in self._terms}
        return [[known[number] for number in numbers if number in known] for numbers in tokens.ids]

    def _tokens(self, texts: Sequence[str]) -> bm25s.tokenization.Tokenized:
        return bm25s.tokenize(texts, token_pattern=WORD, stopwords=self._stop_words, stemmer=self._stemmer, show_progress=False)


def _snowball(language: str) -> Stemmer.Stemmer:
    known = Stemmer.algorithms()
    if language not in known:
        raise InputError(f"there is no stemmer for {language!r}; wanted one of {', '.join(known)}.{nearest(language, known)}")
    return Stemmer.Stemmer(language)


def _stop_words(language: str) -> list[str]:
    return list(getattr(bm25s.stopwords, f"STOPWORDS_{'EN' if language in ('english', 'porter') else language.upper()}", ()))
