"""The pipeline against what its parts give alone."""

from __future__ import annotations

import numpy as np
import pytest

from counting import Counting
from nearfield.encoders.encoder_scorer import EncoderScorer
from nearfield.retrieval.bm25 import bm25
from nearfield.retrieval.first_stage import FirstStage
from nearfield.retrieval.fuse import reciprocal_rank_fusion
from nearfield.retrieval.queries import Queries
from nearfield.retrieval.rerank import rerank
from nearfield.retrieval.retriever import FUSED_DEPTH, Retriever
from nearfield.types.ranking import Ranking
from tiny_data import tiny_collection

COLLECTION = tiny_collection()
SPLIT = COLLECTION.split("test")
IDS, TEXTS = COLLECTION.document_ids, COLLECTION.document_texts
ENCODER = Counting()
WORDS = bm25(TEXTS)
MODEL = FirstStage.exact("model", ENCODER, ENCODER.encode(TEXTS, "document"))
QUERIES = Queries.of(SPLIT)


def same(ours: Ranking, theirs: Ranking) -> None:
    np.testing.assert_array_equal(ours.documents, theirs.documents)
    np.testing.assert_array_equal(ours.scores, theirs.scores)


def test_one_stage_is_that_stage() -> None:
    found = Retriever(IDS, TEXTS, [MODEL]).search(QUERIES, 7)
    same(found, MODEL.find(SPLIT.query_texts, 7))
    assert (found.parts, found.query_ids) == ({}, SPLIT.query_ids)


def test_two_stages_are_fused_as_deep_as_a_fusion_looks() -> None:
    found = Retriever(IDS, TEXTS, [MODEL, WORDS]).search(QUERIES, 7)
    assert list(found.parts) == ["model", "bm25"]
    same(found.parts["bm25"], WORDS.find(SPLIT.query_texts, FUSED_DEPTH))
    same(found, reciprocal_rank_fusion(list(found.parts.values()), k=7))


@pytest.mark.parametrize("stages", [[MODEL], [WORDS], [MODEL, WORDS]])
def test_more_results_than_documents_are_all_documents(stages: list[FirstStage]) -> None:
    """So many places would not fit into memory, or into an array's size."""
    for k in (10**12, 10**20):
        found = Retriever(IDS, TEXTS, stages).search(QUERIES, k)
        same(found, Retriever(IDS, TEXTS, stages).search(QUERIES, len(IDS)))
        same(stages[0].find(SPLIT.query_texts, k), stages[0].find(SPLIT.query_texts, len(IDS)))


def test_the_fusion_is_a_value() -> None:
    def second(rankings: object, *, k: int) -> Ranking:
        return rankings[1].top(k)  # type: ignore[index, no-any-return]

    found = Retriever(IDS, TEXTS, [MODEL, WORDS], fuse=second).search(QUERIES, 3)
    same(found, WORDS.find(SPLIT.query_texts, 3))


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_the_judge_orders_what_was_found() -> None:
    judge = EncoderScorer(ENCODER)
    found = Retriever(IDS, TEXTS, [WORDS], rerank=judge, depth=5).search(QUERIES, 3)
    whole = WORDS.find(SPLIT.query_texts, 5).named(QUERIES.ids, IDS)
    ordered = rerank(whole, judge, query_texts=QUERIES.texts, document_texts=TEXTS, depth=5)
    same(found, ordered.top(3))
    same(found.parts["bm25"], whole)


def test_embeddings_that_are_made_are_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ENCODER.encode(SPLIT.query_texts, "query")
    monkeypatch.setattr(Counting, "encode", lambda *words, **kept: pytest.fail("encoded again"))
    found = Retriever(IDS, TEXTS, [MODEL]).search(Queries.of(SPLIT, {"model": made}), 4)
    same(found, MODEL.index.search(made, 4))


def test_where_holds_for_every_stage() -> None:
    where = np.arange(len(IDS)) % 3 == 0
    found = Retriever(IDS, TEXTS, [MODEL, WORDS]).search(QUERIES, 10, where=where)
    assert (found.documents[found.documents >= 0] % 3 == 0).all()


def test_a_query_without_a_prior_encoding_is_explained_only_when_asked() -> None:
    why = Retriever(IDS, TEXTS, [MODEL, WORDS]).explainer(SPLIT.query_texts[0])
    position = int(WORDS.find(SPLIT.query_texts[:1], 1).documents[0, 0])
    found = why(position)
    assert list(found) == ["model", "bm25"]
    assert found["model"].matches == []
    score = WORDS.find(SPLIT.query_texts[:1], 1).scores[0, 0]
    assert sum(match.score for match in found["bm25"].matches) == pytest.approx(score, rel=1e-5)
