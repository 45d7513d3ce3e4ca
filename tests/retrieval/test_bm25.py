"""BM25 against its formula by naive loops."""

from __future__ import annotations

import math
import re
from collections import Counter

import bm25s
import numpy as np
import pytest
import Stemmer

from indexes import BAGS, without_kernels
from nasty import nasty_texts
from nearfield.encoders.lexical import BagOfWords
from nearfield.errors import InputError
from nearfield.retrieval.bm25 import bm25, bytes_per_document
from nearfield.types.word_rule import words

QUERIES = ["running cats", "mouse", "mouse mouse cats", "zebra", "", "the", "LAW courts zebra"]
STOP = ["the", "a", "are", "and", "of", "after"]


def naive(texts: list[str], query: str, *, k1: float, b: float) -> list[float]:
    stem = Stemmer.Stemmer("english").stemWord

    def stems(text: str) -> list[str]:
        return [stem(word) for word in re.findall(r"\w+", text.lower()) if word not in STOP]

    documents = [stems(text) for text in texts]
    mean_length = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        score = 0.0
        for term in stems(query):
            df = sum(term in other for other in documents)
            tf = Counter(document)[term]
            if df and tf:
                idf = math.log(1 + (len(documents) - df + 0.5) / (df + 0.5))
                score += idf * tf / (tf + k1 * (1 - b + b * len(document) / mean_length))
        scores.append(score)
    return scores


@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.9, 0.4), (0.0, 0.0), (2.0, 1.0)])
def test_the_formula_by_naive_loops_gives_the_same(k1: float, b: float) -> None:
    index = bm25(BAGS, BagOfWords(k1=k1, b=b, stop_words=tuple(STOP)))
    ranking = index.find(QUERIES, 4)
    found, scores = ranking.documents, ranking.scores
    for row, query in enumerate(QUERIES):
        expected = sorted(
            (
                (-np.float32(score), place)
                for place, score in enumerate(naive(BAGS, query, k1=k1, b=b))
                if score > 0
            )
        )[:4]
        assert found[row][found[row] >= 0].tolist() == [place for _, place in expected]
        np.testing.assert_allclose(
            scores[row][found[row] >= 0], [-score for score, _ in expected], rtol=1e-5
        )
        assert np.isneginf(scores[row][found[row] < 0]).all()


def test_queries_that_know_no_word_find_nothing() -> None:
    ranking = bm25(BAGS).find(["", "zebra", "the of"], 3)
    found, scores = ranking.documents, ranking.scores
    assert (found == -1).all()
    assert np.isneginf(scores).all()


@pytest.mark.parametrize("texts", [[], ["", ""], ["the", "of"]])
def test_documents_without_words_are_found_by_nothing(texts: list[str]) -> None:
    index = bm25(texts)
    assert (index.find(["cats", ""], 2).documents == -1).all()
    assert bytes_per_document(index) == 0
    assert len(index.index) == len(texts)


def test_equal_scores_go_to_the_smaller_position() -> None:
    assert bm25(["cats", "dogs", "cats", "cats"]).find(["cat"], 2).documents.tolist() == [[0, 2]]


def test_languages() -> None:
    assert bm25(["die Häuser", "der Baum"], BagOfWords(stemmer="german")).find(
        ["Haus"], 1
    ).documents.tolist() == [[0]]
    assert bm25(["running", "run"], BagOfWords(stemmer=None)).find(
        ["run"], 2
    ).documents.tolist() == [[1, -1]]
    with pytest.raises(InputError, match=r"no stemmer for 'englsh'.*Did you mean 'english'"):
        bm25(BAGS, BagOfWords(stemmer="englsh"))
    with pytest.raises(InputError, match="k1 -1"):
        bm25(BAGS, BagOfWords(k1=-1))


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    bm25(BAGS).find(QUERIES, 3)
    assert capfd.readouterr() == ("", "")


def test_a_text_without_blanks_is_found_by_its_characters() -> None:
    texts = [
        "東京の返品は通常5営業日で完了します。",
        "大阪の配送は通常3営業日で完了します。",
        "请在设置页面重置密码",
        "วิธีคืนสินค้า",
    ]
    found = (
        bm25(texts)
        .find(["東京への返品", "大阪 配送", "怎么重置密码", "คืนสินค้า", "paid by invoice"], 1)
        .documents
    )
    assert found[:, 0].tolist() == [0, 1, 2, 3, -1]


def test_words_with_marks_are_found_however_they_are_written() -> None:
    texts = [
        "क्रिकेट टीम ने मैच जीत लिया",
        "दिल्ली में आज बारिश हो रही है",
        "בְּרֵאשִׁית בָּרָא אֱלֹהִים",
        "مُحَمَّد رسول",
        "un cafe\u0301 noir",
        "ｶﾞｲﾄﾞﾌﾞｯｸ",
        "𠮷野家",
    ]
    asked = ["क्रिकेट टीम", "दिल्ली बारिश", "בראשית ברא", "مُحمد", "CAFÉ", "ガイド", "𠮷"]
    assert bm25(texts).find(asked, 1).documents[:, 0].tolist() == list(range(7))


def test_words_of_one_character_count() -> None:
    texts = [
        "vitamin C and colds",
        "vitamin B and nerves",
        "vitamin D and bones",
        "a vitamin, the vitamin",
    ]
    index = bm25(texts)
    assert index.find(["vitamin D", "vitamin B", "a vitamin"], 1).documents[:, 0].tolist() == [
        2,
        1,
        3,
    ]
    assert index.encoder.stopped("The vitamin is a vitamin") == ["the", "is", "a"]


def test_stop_words_are_folded_as_words_are() -> None:
    assert bm25(["und ÜBER"], BagOfWords(stop_words=("U\u0308ber",))).encoder.terms == ["und"]


def test_identifiers_are_found_by_their_parts() -> None:
    found = (
        bm25(["def remove_writer(self, fd)", "def open_new(url)"])
        .find(["remove a writer", "open a new url"], 1)
        .documents
    )
    assert found[:, 0].tolist() == [0, 1]


@pytest.mark.parametrize("stemmer", ["english", "german", None])
def test_bm25s_cuts_the_same_words_and_gives_the_same_scores(stemmer: str | None) -> None:
    texts = [*BAGS, *nasty_texts(), "Straße STRASSE İstanbul ǅ ﬁne x2 2x _a_b_ été"]
    index = bm25(texts, BagOfWords(stemmer=stemmer))
    stop_words = list(
        getattr(bm25s.stopwords, f"STOPWORDS_{'GERMAN' if stemmer == 'german' else 'EN'}")
    )
    own = None if stemmer is None else Stemmer.Stemmer(stemmer)
    cut = [" ".join(words(text)) for text in texts]
    tokens = bm25s.tokenize(
        cut,
        lower=False,
        token_pattern=r"\S+",
        stopwords=stop_words,
        stemmer=own,
        show_progress=False,
    )
    assert sorted(index.encoder.terms) == sorted(tokens.vocab)
    peer = bm25s.BM25(k1=1.5, b=0.75, method="lucene")
    peer.index(tokens, create_empty_token=False, show_progress=False)
    ranking = index.find(texts, len(texts))
    found, scores = ranking.documents, ranking.scores
    numbers = {number: word for word, number in tokens.vocab.items()}
    for row, ids in enumerate(tokens.ids):
        expected = (
            peer.get_scores([numbers[number] for number in ids])
            if ids
            else np.zeros(len(texts), np.float32)
        )
        given = np.zeros(len(texts), np.float32)
        given[found[row][found[row] >= 0]] = scores[row][found[row] >= 0]
        np.testing.assert_allclose(given, expected, rtol=1e-6)


def test_numpy_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    index = bm25(BAGS)
    by_kernel = index.find(QUERIES, 4)
    without_kernels(monkeypatch)
    np.testing.assert_array_equal(index.find(QUERIES, 4).documents, by_kernel.documents)
    np.testing.assert_array_equal(index.find(QUERIES, 4).scores, by_kernel.scores)
