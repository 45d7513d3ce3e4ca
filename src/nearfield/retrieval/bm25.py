"""BM25, the lexical baseline that every model is compared with."""

from __future__ import annotations

from collections.abc import Sequence

from nearfield.encoders.lexical import BagOfWords, Lexical
from nearfield.indexes.inverted import Inverted
from nearfield.retrieval.first_stage import FirstStage
from nearfield.types.arrays import Integers

BM25 = "bm25"


def bm25(texts: Sequence[str], bag: BagOfWords | None = None) -> FirstStage:
    """BM25 over `texts` by their stemmed words: the sparse vectors of a `Lexical`, inverted.

    Lucene's variant, as `BagOfWords` has it: the score is the sum over the query's terms, repeated
    ones counted again. A document without a term of the query is not found. Raises InputError for
    an unknown language, k1 or b.
    """
    encoder, documents = Lexical.fitted(texts, bag or BagOfWords())
    # all of BM25's weights are in the documents' vectors: a query's word counts 1 each time
    return FirstStage(BM25, encoder, Inverted.of(documents), ask=encoder.occurrences)


def bytes_per_document(stage: FirstStage) -> float:
    """Bytes of a BM25 index's arrays, and of its terms, for each document."""
    lexical = stage.encoder
    index = stage.index
    assert isinstance(lexical, Lexical)
    assert isinstance(index, Inverted)
    if not lexical.terms:
        return 0.0
    # the index names terms by number, so that their words are held besides
    terms = sum(len(term.encode()) for term in lexical.terms)
    return float(index.nbytes + terms) / len(index)


def first_found(documents: Sequence[str], queries: Sequence[str]) -> Integers:
    """(queries,) the position of the document that BM25 ranks first, -1 where no document has a
    term of the query.
    """
    return bm25(documents).find(queries, 1).documents[:, 0]
