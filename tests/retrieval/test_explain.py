from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from counting import Counting, CountingFused, CountingTerms, CountingTokens
from nearfield.encoders.lexical import BagOfWords, Lexical
from nearfield.encoders.load import load
from nearfield.indexes.index import exact_index
from nearfield.retrieval.bm25 import bm25
from nearfield.retrieval.explain import Asked
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.explained import Match
from nearfield.similarity.sparse import Sparse
from static_models import model2vec_folder
from tiny import tiny_model

TEXTS = [
    "The cat sleeps on the mat.",
    "Tax law for small firms, and for cats.",
    "",
    "Ships sail over the sea: cats, cats and mats.",
]
QUERY = "a sleeping cat on mats, cats"


def explain(asked: Asked, documents: Embeddings, document: int, *, text: str) -> list[Match]:
    return asked.explain(documents[[document]], text).matches


def unmet(asked: Asked, documents: Embeddings, document: int) -> list[str]:
    return asked.explain(documents[[document]], "").unmet


@pytest.mark.parametrize("weighting", ["bm25", "tfidf"])
def test_the_terms_of_a_lexical_match_add_up_to_its_score(weighting: str) -> None:
    encoder, documents = Lexical.fitted(TEXTS, BagOfWords(weighting))
    query = encoder.encode([QUERY], "query")
    asked = Asked(encoder, QUERY, query)
    scores = query.scores(documents)[0]
    for place, text in enumerate(TEXTS):
        matches = explain(asked, documents, place, text=text)
        assert sum(match.score for match in matches) == pytest.approx(scores[place], rel=1e-5)
        assert [match.score for match in matches] == sorted(
            (match.score for match in matches), reverse=True
        )
    assert {match.query for match in explain(asked, documents, 0, text=TEXTS[0])} == {
        "cat",
        "sleep",
        "mat",
    }
    if weighting == "bm25":
        ranking = bm25(TEXTS).find([QUERY], 3)
        assert [
            sum(m.score for m in explain(asked, documents, int(p), text=""))
            for p in ranking.documents[0]
        ] == pytest.approx(ranking.scores[0], rel=1e-5)


@pytest.mark.parametrize("weighting", ["bm25", "tfidf"])
def test_the_terms_that_found_nothing_are_named(weighting: str) -> None:
    encoder, documents = Lexical.fitted(TEXTS, BagOfWords(weighting))
    text = "the quasars and taxes of sleeping cats, a quasar"
    asked = Asked(encoder, text, encoder.encode([text], "query"))
    for place, wanted in enumerate(
        [
            {"quasar", "tax"},
            {"quasar", "sleep"},
            {"quasar", "tax", "sleep", "cat"},
            {"quasar", "tax", "sleep"},
        ]
    ):
        found = unmet(asked, documents, place)
        assert (set(found), len(found), found[0]) == (wanted, len(wanted), "quasar")
        assert not wanted & {
            match.query for match in explain(asked, documents, place, text=TEXTS[place])
        }


def test_of_a_bag_of_words_the_rarest_term_that_found_nothing_comes_first() -> None:
    texts = [
        "an aspirin a day",
        *[f"a product for day {number}" for number in range(9)],
        "a zebra",
        "nothing",
    ]
    encoder, documents = Lexical.fitted(texts, BagOfWords("bm25"))
    asked = Asked(
        encoder,
        "product of the day: zebra, aspirin",
        encoder.encode(["product of the day: zebra, aspirin"], "query"),
    )
    found = unmet(asked, documents, len(texts) - 1)
    assert set(found[:2]) == {"zebra", "aspirin"}
    assert set(found[2:]) == {"product", "day"}


def test_several_kinds_name_the_terms_of_the_sparse_part_and_others_none() -> None:
    encoder = CountingFused()
    query, documents = encoder.encode([QUERY], "document"), encoder.encode(TEXTS, "document")
    asked = Asked(encoder, QUERY, query)
    for place in range(len(TEXTS)):
        part, theirs = query.parts["sparse"], documents.parts["sparse"]
        assert unmet(asked, documents, place) == unmet(Asked(encoder, QUERY, part), theirs, place)
    assert unmet(asked, documents, 2)
    dense = Counting().encode(TEXTS, "document")
    assert unmet(Asked(Counting(), QUERY, dense[:1]), dense, 0) == []


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_sparse_parts_add_up_for_every_similarity(similarity: str) -> None:
    query, documents = (
        replace(CountingTerms(normalise=False).encode(texts, "document"), similarity=similarity)
        for texts in ([QUERY], TEXTS)
    )
    for place, text in enumerate(TEXTS):
        matches = explain(Asked(CountingTerms(), QUERY, query), documents, place, text=text)
        assert sum(match.score for match in matches) == pytest.approx(
            query.scores(documents)[0, place], rel=1e-5
        )
        assert all(match.query.isdecimal() for match in matches)


@settings(max_examples=20)
@given(
    st.text("abc ", min_size=1, max_size=8),
    st.lists(st.text("abcd ", max_size=9), min_size=1, max_size=4),
    st.booleans(),
)
def test_tokens_meet_the_closest_by_a_plain_loop(
    text: str, texts: list[str], average: bool
) -> None:
    encoder = CountingTokens()
    query, documents = (
        replace(encoder.encode(items, "document"), average=average) for items in ([text], texts)
    )
    for place, document in enumerate(texts):
        matches = explain(Asked(encoder, text, query), documents, place, text=document)
        if not document:
            assert matches == []
            continue
        assert sum(match.score for match in matches) == pytest.approx(
            query.scores(documents)[0, place], rel=1e-5, abs=1e-5
        )
        theirs = documents[[place]].tokens.floats()
        for token, match in zip(query.tokens.floats(), matches, strict=True):
            near = [float(token @ other) for other in theirs]
            assert match.score * (len(matches) if average else 1) == pytest.approx(
                max(near), rel=1e-5, abs=1e-6
            )
            assert near[int(match.document.removeprefix("vector ")) - 1] == pytest.approx(
                max(near), rel=1e-5, abs=1e-6
            )


@pytest.mark.parametrize(
    ("similarity", "normalise"), [("cosine", True), ("cosine", False), ("dot", False)]
)
def test_a_mean_over_tokens_is_told_apart_exactly(
    tmp_path: Path, similarity: str, normalise: bool
) -> None:
    """Each token's part against transformers' own states, and the sum against the score."""
    from transformers import AutoModel

    folder = tiny_model(tmp_path / "tiny", normalise=normalise)
    encoder = load(folder)
    made = encoder.encode(["a cat in the sun", "tax law of the court"])
    query, documents = (
        replace(part, similarity=similarity) for part in (made, encoder.encode(TEXTS))
    )
    states = AutoModel.from_pretrained(folder).eval()
    for place, text in enumerate(TEXTS):
        asked = Asked(encoder, "a cat in the sun", query[:1])
        matches = explain(asked, documents, place, text=text)
        score = query.scores(documents)[0, place]
        assert sum(match.score for match in matches) == pytest.approx(score, abs=1e-5)
        ids = encoder.tokenise([text], "document").ids
        assert [match.document for match in matches] == encoder.names(ids.tolist())
        with torch.inference_mode():
            own = states(torch.tensor(ids[None].astype(np.int64))).last_hidden_state[0].numpy()
        parts = own @ np.asarray(query)[0] / len(own)
        scale = score / parts.sum()
        np.testing.assert_allclose([match.score for match in matches], parts * scale, atol=1e-4)


@pytest.mark.parametrize("pooling", ["cls", "max"])
def test_another_pooling_is_no_sum_over_tokens(tmp_path: Path, pooling: str) -> None:
    encoder = load(tiny_model(tmp_path / "tiny", pooling=pooling))
    vectors = encoder.encode(TEXTS)
    assert explain(Asked(encoder, TEXTS[0], vectors[:1]), vectors, 1, text=TEXTS[1]) == []


def test_a_static_model_and_a_prompt_that_is_not_pooled_are_told_apart_too(tmp_path: Path) -> None:
    pooling = {"embedding_dimension": 32, "pooling_mode": "mean", "include_prompt": False}
    prompts = {"prompts": {"document": "passage : "}}
    files = {"1_Pooling/config": pooling, "config_sentence_transformers": prompts}
    prompted = tiny_model(tmp_path / "prompted", **files)
    for encoder in (load(model2vec_folder(tmp_path / "static")), load(prompted)):
        query, documents = encoder.encode(["cat"], "query"), encoder.encode(TEXTS, "document")
        asked = Asked(encoder, "cat", query)
        for place in (0, 1, 3):
            matches = explain(asked, documents, place, text=TEXTS[place])
            assert "passage" not in [match.document for match in matches]
            total = sum(match.score for match in matches)
            assert total == pytest.approx(query.scores(documents)[0, place], abs=1e-5)


def test_several_kinds_give_what_each_adds_and_dense_vectors_of_unknown_make_nothing() -> None:
    encoder = CountingFused()
    query, documents = encoder.encode([QUERY], "document"), encoder.encode(TEXTS, "document")
    matches = explain(Asked(encoder, QUERY, query), documents, 0, text=TEXTS[0])
    assert sum(match.score for match in matches) == pytest.approx(
        query.scores(documents)[0, 0], rel=1e-4
    )
    assert [match.query for match in matches].count("(dense vector)") == 1
    dense = Counting().encode(TEXTS, "document")
    assert explain(Asked(Counting(), QUERY, dense[:1]), dense, 0, text=TEXTS[0]) == []


def test_a_model_names_its_terms(tmp_path: Path) -> None:
    from sparse_models import tiny_splade

    encoder = load(tiny_splade(tmp_path / "model"))
    query, documents = encoder.encode(["cat law"], "query"), encoder.encode(TEXTS, "document")
    matches = explain(Asked(encoder, "cat law", query), documents, 1, text=TEXTS[1])
    assert sum(match.score for match in matches) == pytest.approx(
        query.scores(documents)[0, 1], rel=1e-4
    )
    named = {match.query for match in matches}
    assert named <= {encoder.tokeniser.token_of(number) for number in range(encoder.contract.dim)}
    assert encoder.read("cat law", "document") == ["[CLS]", "cat", "law", "[SEP]"]


def test_inverted_search_finds_what_scoring_each_document_finds() -> None:
    generator = np.random.default_rng(0)
    # whole numbers: sums are exact
    table = generator.integers(0, 5, (300, 40)) * (generator.random((300, 40)) < 0.2)
    documents, query = Sparse.of(table[:280]), Sparse.of(table[280:])
    ranking = exact_index(documents).search(query, 10)
    found, scores = ranking.documents, ranking.scores
    expected = query.scores(documents)
    for row in range(len(query)):
        order = [
            place
            for place in np.lexsort((np.arange(280), -expected[row]))
            if expected[row, place] > 0
        ][:10]
        assert found[row][found[row] >= 0].tolist() == order
        np.testing.assert_array_equal(scores[row, : len(order)], expected[row, order])
    cosine = replace(documents, similarity="cosine")
    found = exact_index(cosine).search(replace(query, similarity="cosine"), 3).documents
    assert (found >= 0).all()
    negative = Sparse.of(-table)
    assert (exact_index(negative).search(query, 3).documents >= 0).all()
