from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from indexes import BAGS
from nasty import nasty_texts
from nearfield.batch import words
from nearfield.batch.words import Words
from nearfield.encoders import lexical
from nearfield.encoders.lexical import BagOfWords, Lexical
from nearfield.encoders.load import load, load_text_encoder
from nearfield.errors import ContractError, InputError, ModelError
from nearfield.indexes.inverted import Inverted
from nearfield.retrieval.bm25 import bm25
from nearfield.similarity.sparse import Sparse
from nearfield.types.word_rule import RULE

TEXTS = [*BAGS, *nasty_texts(40)]
QUERIES = [
    "running cats",
    "mouse mouse cats",
    "zebra",
    "",
    "the",
    "LAW courts zebra",
    *nasty_texts(40)[::5],
]


@pytest.mark.parametrize("stemmer", ["english", "german", None])
def test_dot_products_are_the_scores_of_bm25(stemmer: str | None) -> None:
    encoder, documents = Lexical.fitted(TEXTS, BagOfWords(stemmer=stemmer))
    scores = encoder.encode(QUERIES, "query").scores(documents)
    ranking = bm25(TEXTS, BagOfWords(stemmer=stemmer)).find(QUERIES, len(TEXTS))
    given = np.zeros_like(scores)
    for row, places in enumerate(ranking.documents):
        given[row, places[places >= 0]] = ranking.scores[row][places >= 0]
    np.testing.assert_allclose(scores, given, rtol=1e-5)
    again = encoder.encode(TEXTS, "document")
    np.testing.assert_array_equal(again.matrix().toarray(), documents.matrix().toarray())


def test_tfidf_is_that_of_scikit_learn() -> None:
    encoder, documents = Lexical.fitted(TEXTS, BagOfWords("tfidf"))
    words = Words()

    def cut(text: str) -> list[str]:
        read = words.learn([text])
        return [words.terms[term] for term in read.terms]

    peer = TfidfVectorizer(analyzer=cut)
    theirs = peer.fit_transform(TEXTS).toarray()
    columns = [peer.vocabulary_[term] for term in encoder.terms]
    np.testing.assert_allclose(documents.matrix().toarray(), theirs[:, columns], atol=1e-6)
    asked = encoder.encode(QUERIES, "query")
    np.testing.assert_allclose(
        asked.matrix().toarray(), peer.transform(QUERIES).toarray()[:, columns], atol=1e-6
    )
    assert (encoder.contract.kind, encoder.contract.similarity, encoder.contract.dim) == (
        "sparse",
        "dot",
        len(encoder.terms),
    )


@pytest.mark.parametrize("weighting", ["bm25", "tfidf"])
def test_blocks_of_texts_change_nothing(weighting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, documents = Lexical.fitted(TEXTS, BagOfWords(weighting))
    monkeypatch.setattr(words, "_TEXTS", 3)
    monkeypatch.setattr(lexical, "_TEXTS", 5)
    encoder, again = Lexical.fitted(TEXTS, BagOfWords(weighting))
    assert encoder.terms == whole.terms
    for name in ("weights", "terms", "offsets", "counts"):
        np.testing.assert_array_equal(getattr(again, name), getattr(documents, name))
    np.testing.assert_array_equal(encoder.idf, whole.idf)


@settings(max_examples=30)
@given(
    st.lists(st.text(alphabet="ab c", max_size=12), max_size=8), st.sampled_from(["bm25", "tfidf"])
)
def test_a_text_weighs_the_same_alone_and_among_others(texts: list[str], weighting: str) -> None:
    bag = BagOfWords(weighting, stemmer=None, stop_words=())
    encoder, documents = Lexical.fitted(texts, bag)
    assert len(documents) == len(texts)
    for row, text in enumerate(texts):
        np.testing.assert_array_equal(
            encoder.encode([text], "document").matrix().toarray()[0],
            documents[[row]].matrix().toarray()[0],
        )


def test_unknown_words_are_left_out_counted_and_make_a_text_longer() -> None:
    encoder = Lexical.fit(["cats sleep", "dogs run"])
    known, longer, nothing = (
        encoder.encode([text], "document")
        for text in ("cats run", "cats run xylophone", "xylophone the")
    )
    assert (
        known.usage.unknown_tokens,
        longer.usage.unknown_tokens,
        nothing.usage.nothing_known,
    ) == (0, 1, 1)
    assert (longer.weights < known.weights).all()
    np.testing.assert_array_equal(longer.terms, known.terms)
    assert nothing.active.tolist() == [0]
    assert encoder.names(known.terms.tolist()) == ["cat", "run"]


@pytest.mark.parametrize("weighting", ["bm25", "tfidf"])
def test_a_saved_folder_gives_the_same_and_knows_itself(tmp_path: Path, weighting: str) -> None:
    fitted, documents = Lexical.fitted(
        TEXTS, BagOfWords(weighting, k1=0.9, b=0.4, stemmer="german")
    )
    fitted.save(tmp_path / "words")
    opened = load(tmp_path / "words")
    assert isinstance(opened, Lexical)
    for role, texts in (("document", TEXTS), ("query", QUERIES)):
        ours, theirs = opened.encode(texts, role), fitted.encode(texts, role)
        np.testing.assert_array_equal(ours.matrix().toarray(), theirs.matrix().toarray())
    assert (opened.contract.name, fitted.contract.name) == ("words", weighting)
    assert fitted.identity is None
    assert opened.identity is not None
    documents.save(tmp_path / "vectors")
    index = Inverted.of(Sparse.open(tmp_path / "vectors"))
    assert index.search(opened.encode(["mouse"], "query"), 1).documents[0, 0] in (0, 4)


def test_terms_of_another_word_rule_are_refused(tmp_path: Path) -> None:
    Lexical.fit(TEXTS).save(tmp_path / "words")
    facts = json.loads((tmp_path / "words" / "lexical.json").read_text())
    assert facts["word_rule"] == RULE
    for rule, said in ((None, 1), (RULE + 1, RULE + 1)):
        kept = {
            name: value
            for name, value in (facts | {"word_rule": rule}).items()
            if value is not None
        }
        (tmp_path / "words" / "lexical.json").write_text(json.dumps(kept))
        with pytest.raises(
            ModelError,
            match=f"cut by word rule {said}, .* by rule {RULE}, .* fit it on its documents again",
        ):
            load(tmp_path / "words")


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no weighting 'tfdif'.*Did you mean 'tfidf'"):
        BagOfWords("tfdif")
    with pytest.raises(InputError, match="no stemmer for 'englsh'"):
        Lexical.fit(TEXTS, BagOfWords(stemmer="englsh"))
    with pytest.raises(ContractError, match="no role 'queries'"):
        Lexical.fit(TEXTS).encode(["a"], "queries")
    with pytest.raises(InputError, match="got one text"):
        Lexical.fit(TEXTS).encode("a", "query")
    with pytest.raises(ModelError, match="is not the folder of a bag of words"):
        Lexical.open(tmp_path)
    Lexical.fit(TEXTS).save(tmp_path / "words")
    (tmp_path / "words" / "vocabulary.json").write_text(json.dumps(["one"]))
    with pytest.raises(ModelError, match="1 terms and weights of shape"):
        load(tmp_path / "words")
    with pytest.raises(ModelError, match="is a bag of words, without the tokens"):
        load_text_encoder(tmp_path / "words")
